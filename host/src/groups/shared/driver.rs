//! Carries out what the schedule says, on the thread of the registry.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_netgroup::ring::GroupAddress;
use introd_policy::registry::{GroupMember, NeighborQuery, NeighborsResult, Registry, RegistryError};
use rtmfp::{PeerId, SessionId};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};

use super::SendHint;
use super::marks::Marks;
use super::schedule::{MemberId, Schedule, Step};
use crate::groups::Memberships;
use crate::groups::bootstrap::BootstrapSettings;
use crate::introducer::{Counter, Counters};

/// After so many steps the thread does its other work: it also waits for lookups.
const MAX_STEPS: usize = 32;

/// Is dropped when what has gone is withdrawn.
pub(super) type Finish = std::sync::mpsc::Sender<()>;

pub(super) struct Driver {
    registry: Arc<dyn Registry>,
    members: Arc<Memberships<SessionId>>,
    marks: Arc<Marks>,
    counters: Arc<Counters>,
    timeout: Duration,
    send: Arc<SendHint>,
    settings: BootstrapSettings,
    pub(super) schedule: Schedule,
    /// Who waits until what has gone is withdrawn.
    finishing: mpsc::UnboundedReceiver<Finish>,
    /// The queries under way.
    queries: JoinSet<NeighborsResult>,
    asked_by: HashMap<Id, MemberId>,
}

impl Driver {
    pub(super) fn new(
        registry: Arc<dyn Registry>,
        members: Arc<Memberships<SessionId>>,
        marks: Arc<Marks>,
        counters: Arc<Counters>,
        timeout: Duration,
        send: Arc<SendHint>,
        finishing: mpsc::UnboundedReceiver<Finish>,
    ) -> Self {
        let (settings, schedule) = (BootstrapSettings::default(), Schedule::new(Instant::now()));
        let (queries, asked_by) = (JoinSet::new(), HashMap::new());
        Self { registry, members, marks, counters, timeout, send, settings, schedule, finishing, queries, asked_by }
    }

    /// The same, of a process that takes another's place.
    pub(super) fn inheriting(self) -> Self {
        Self { schedule: self.schedule.inheriting(Instant::now()), ..self }
    }

    /// Works until it is dropped.
    pub(super) async fn run(mut self) {
        let _guard = Guard;
        loop {
            self.take_marks(Instant::now());
            if self.work(Instant::now()) {
                // There is more: the thread's other tasks have a turn, and answers that have come are taken.
                tokio::task::yield_now().await;
                while let Some(joined) = self.queries.try_join_next_with_id() {
                    self.answered(joined);
                }
                continue;
            }
            let next = self.schedule.next_time().map(tokio::time::Instant::from_std);
            let timer = tokio::time::sleep_until(next.unwrap_or_else(tokio::time::Instant::now));
            tokio::select! {
                () = self.marks.wait() => (),
                Some(done) = self.finishing.recv() => {
                    self.withdraw_gone(Instant::now());
                    drop(done);
                }
                () = timer, if next.is_some() => (),
                Some(joined) = self.queries.join_next_with_id() => self.answered(joined),
            }
        }
    }

    /// Withdraws all members that have left, also those about whom the registry is being asked.
    pub(super) fn withdraw_gone(&mut self, now: Instant) {
        self.take_marks(now);
        for id in self.schedule.take_gone() {
            self.write(now, Step::Withdraw(id));
        }
    }

    /// Compares the marked memberships with the table.
    pub(super) fn take_marks(&mut self, now: Instant) {
        for (key, peer, mark) in self.marks.take() {
            let session = if mark.is_named { self.members.awake(&key, &peer) } else { None };
            self.schedule.set(now, MemberId { key, peer }, mark.digest, session);
        }
    }

    /// Takes steps that are due, up to [`MAX_STEPS`]. True if there may be more.
    fn work(&mut self, now: Instant) -> bool {
        for _ in 0..MAX_STEPS {
            match self.schedule.next(now) {
                Some(Step::Ask(id)) => {
                    let query = self.query(id);
                    let (registry, timeout) = (Arc::clone(&self.registry), self.timeout);
                    // The call is part of the task, so that a panic in it is a failure of the query and of nothing else.
                    let task = self.queries.spawn(async move {
                        let answer = registry.group_neighbors(&query);
                        tokio::time::timeout(timeout, answer).await.unwrap_or_else(|_| Err(late()))
                    });
                    self.asked_by.insert(task.id(), id);
                }
                Some(step) => self.write(now, step),
                None => return false,
            }
        }
        true
    }

    /// Publishes or withdraws a membership.
    pub(super) fn write(&mut self, now: Instant, step: Step) {
        let (Step::Publish(id) | Step::Withdraw(id) | Step::Ask(id)) = step;
        let (member, registry) = (member(id), &self.registry);
        let result = catch_unwind(AssertUnwindSafe(|| match step {
            Step::Withdraw(_) => registry.leave_group(&member),
            _ => registry.join_group(&member),
        }));
        let result = result.unwrap_or_else(|_| Err(panicked()));
        if let Err(error) = &result {
            self.failed(id, error);
        }
        match step {
            Step::Withdraw(_) => self.schedule.withdrawn(now, id, result.is_ok()),
            _ => self.schedule.published(now, id, result.is_ok()),
        }
    }

    /// The query of a member.
    pub(super) fn query(&self, id: MemberId) -> NeighborQuery {
        self.count(Counter::RegistryGroupQueries, id, 1);
        NeighborQuery { member: member(id), near: self.settings.side, far: self.settings.far }
    }

    fn answered(&mut self, joined: Result<(Id, NeighborsResult), tokio::task::JoinError>) {
        let (task, result) = match joined {
            Ok((task, result)) => (task, result),
            Err(error) => (error.id(), Err(panicked())),
        };
        if let Some(id) = self.asked_by.remove(&task) {
            self.take_answer(Instant::now(), id, result);
        }
    }

    /// Tells the member of those that the registry has named, except for members of this server, of which it has been told.
    pub(super) fn take_answer(&mut self, now: Instant, id: MemberId, result: NeighborsResult) {
        if let Err(error) = &result {
            self.failed(id, error);
        }
        let told = self.schedule.answered(now, id, result.is_ok());
        let (Some((digest, session)), Ok(named)) = (told, result) else { return };
        let is_elsewhere = |peer: &PeerId| *peer != id.peer && self.members.handle(&id.key, peer).is_none();
        let max = 2 * self.settings.side + self.settings.far;
        let mut hints = 0;
        for peer in named.into_iter().take(max).filter(is_elsewhere) {
            (self.send)(session, digest, peer);
            hints += 1;
        }
        self.count(Counter::RegistryGroupHints, id, hints);
    }

    fn failed(&self, id: MemberId, error: &RegistryError) {
        self.count(Counter::RegistryGroupFailures, id, 1);
        tracing::debug!(peer = %id.peer, %error, "the registry has failed about a member of a group");
    }

    fn count(&self, counter: Counter, id: MemberId, times: u64) {
        // Any of the workers' counters will do: the sum counts.
        let worker = self.members.handle(&id.key, &id.peer).map_or(0, SessionId::prefix);
        self.counters.worker(worker).add_many(counter, times);
    }
}

fn member(id: MemberId) -> GroupMember {
    GroupMember { group: id.key.0, peer: id.peer, position: GroupAddress::of(&id.peer).0 }
}

fn late() -> RegistryError {
    RegistryError::Unavailable("no answer in time".to_owned())
}

fn panicked() -> RegistryError {
    RegistryError::Unavailable("it panicked".to_owned())
}

/// Ends the process if the driver panics: groups would not meet those of other servers any more, and nobody would notice.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            introd_liveness::fail("the members of groups are not shared any more: a panic");
        }
    }
}
