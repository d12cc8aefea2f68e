//! A thread of scripts: it runs those of some applications, one handler at a time.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use slab::Slab;
use tokio::task::JoinSet;

use super::hosted_instance::HostedInstance;
use super::schedule::{Kind, Schedule, Turn};
use super::shared::{Queue, ScriptState, Shared};
use crate::instance::queries::{Query, QueryResult};

/// After so many turns in a row the thread's other tasks run: queries that scripts wait for.
const TURNS: usize = 32;

/// How often it is tried again to send commands for which a worker has had no room.
const RETRY_EVERY: Duration = Duration::from_millis(1);

/// A thread of scripts, with its instances.
struct Thread {
    queue: Arc<Queue>,
    places: Slab<HostedInstance>,
    schedule: Schedule,
    timeouts: BTreeSet<(Instant, usize)>,
    /// Instances whose commands wait for room at a worker, and when that is looked at again.
    held: Vec<usize>,
    retry_at: Option<Instant>,
    queries: JoinSet<(Arc<Shared>, u64, Option<QueryResult>)>,
}

/// Runs what comes until the queue is closed and all instances have ended, or the thread is given up.
pub(crate) fn run(runtime: &tokio::runtime::Runtime, queue: Arc<Queue>) {
    let (places, queries) = (Slab::new(), JoinSet::new());
    let thread = Thread {
        queue,
        places,
        schedule: Schedule::default(),
        timeouts: BTreeSet::new(),
        held: Vec::new(),
        retry_at: None,
        queries,
    };
    tokio::task::LocalSet::new().block_on(runtime, thread.work());
}

impl Thread {
    async fn work(mut self) {
        let mut turns = 0;
        while !self.queue.is_given_up() {
            let is_closed = self.look();
            let now = Instant::now();
            if self.retry_at.is_some_and(|at| at <= now) {
                self.retry(now);
            }
            while let Some((at, place)) = self.timeouts.first().copied()
                && at <= now
            {
                self.timeouts.pop_first();
                self.queue(place, Kind::Event, now);
                if let Some(place) = self.places.get_mut(place) {
                    place.timeout = None;
                }
            }
            if let Some(turn) = self.schedule.next(now) {
                self.take(&turn, now);
                turns += 1;
                if turns % TURNS == 0 {
                    tokio::task::yield_now().await;
                }
                continue;
            }
            if is_closed && self.places.is_empty() {
                return;
            }
            tokio::select! {
                () = self.queue.arrived() => (),
                () = sleep_until(self.timeouts.first().map(|(at, _)| *at).into_iter().chain(self.retry_at).min()) => (),
                Some(done) = self.queries.join_next() => self.came_back(done),
            }
        }
        // Another thread has taken over its instances: the state here has no effect any more.
    }

    /// Takes in what has been queued. Gives back whether the queue is closed.
    fn look(&mut self) -> bool {
        let queued = self.queue.take();
        for opening in queued.openings {
            let app = self.schedule.enter(&opening.shared.application());
            let shared = Arc::clone(&opening.shared);
            let place = self.places.insert(HostedInstance::new(opening, app));
            shared.place.store(place, Ordering::Relaxed);
            shared.is_ready.store(false, Ordering::Release);
            self.poke(place);
        }
        for shared in queued.ready {
            shared.is_ready.store(false, Ordering::Release);
            let place = shared.place.load(Ordering::Relaxed);
            if self.places.get(place).is_some_and(|known| Arc::ptr_eq(&known.opening.shared, &shared)) {
                self.poke(place);
            }
        }
        while let Some(done) = self.queries.try_join_next() {
            self.came_back(done);
        }
        queued.is_closed
    }

    fn came_back(&mut self, done: Result<(Arc<Shared>, u64, Option<QueryResult>), tokio::task::JoinError>) {
        let Ok((shared, token, result)) = done else { return };
        let number = shared.place.load(Ordering::Relaxed);
        if let Some(place) = self.places.get_mut(number)
            && Arc::ptr_eq(&place.opening.shared, &shared)
        {
            place.results.push_back((token, result));
            self.poke(number);
        }
    }

    /// Queues an instance for the turns that it needs.
    fn poke(&mut self, number: usize) {
        let now = Instant::now();
        let Some(place) = self.places.get(number) else { return };
        let inbox = &place.opening.shared.inbox;
        if place.runtime.is_some() {
            if inbox.wants_reload() {
                self.queue(number, Kind::Reload, now);
            }
            if let Some(place) = self.places.get(number)
                && place.has_work()
            {
                self.queue(number, Kind::Event, now);
            }
        } else if place.opening.shared.state() == ScriptState::Starting || inbox.wants_reload() {
            self.queue(number, Kind::Start, now);
        } else if inbox.has_events() {
            self.queue(number, Kind::Event, now);
        }
    }

    fn queue(&mut self, number: usize, kind: Kind, now: Instant) {
        if let Some(place) = self.places.get_mut(number)
            && !place.is_held
            && let Some(waits) = place.waits.get_mut(kind.index())
            && !std::mem::replace(waits, true)
        {
            self.schedule.add(place.app, kind, number, now);
        }
    }

    /// Sends what there is room for by now. An instance all of whose commands are sent has turns again.
    fn retry(&mut self, now: Instant) {
        for number in std::mem::take(&mut self.held) {
            let Some(place) = self.places.get_mut(number).filter(|place| place.is_held) else { continue };
            let Some(runtime) = &place.runtime else { continue };
            if !runtime.instance.outbox.flush() {
                self.held.push(number);
                continue;
            }
            place.is_held = false;
            place.opening.shared.has_turn.store(false, Ordering::Release);
            if runtime.is_over() {
                self.end(number);
            } else {
                // Something may have become due meanwhile.
                self.queue(number, Kind::Event, now);
                self.poke(number);
            }
        }
        self.retry_at = (!self.held.is_empty()).then(|| now + RETRY_EVERY);
    }

    /// An instance has its turn.
    fn take(&mut self, turn: &Turn, now: Instant) {
        let Some(place) = self.places.get_mut(turn.instance) else { return };
        if let Some(waits) = place.waits.get_mut(turn.kind.index()) {
            *waits = false;
        }
        if place.is_held {
            return;
        }
        if let Some(used) = turn.slowed {
            let app = place.opening.shared.application();
            tracing::warn!(%app, ?used, "the application takes more than its share of its scripts' thread: what comes for it waits while others have their turn");
        }
        place.opening.shared.has_turn.store(true, Ordering::Release);
        let queue = &self.queue;
        let result = catch_unwind(AssertUnwindSafe(|| match turn.kind {
            Kind::Event => place.handle(now),
            Kind::Reload => place.reload(),
            Kind::Start => place.start(queue),
        }));
        place.opening.shared.has_turn.store(place.has_unsent_commands(), Ordering::Release);
        let used = now.elapsed();
        self.schedule.charge(turn.app, turn.kind, used);
        place.opening.shared.busy.add(used);
        place.opening.busy.add(used);
        if self.queue.is_given_up() {
            return;
        }
        let Ok(is_over) = result else {
            tracing::error!(app = %place.opening.shared.name, "an application instance panicked and has ended");
            self.end(turn.instance);
            return;
        };
        if place.has_unsent_commands() {
            place.is_held = true;
            self.held.push(turn.instance);
            self.retry_at.get_or_insert(now + RETRY_EVERY);
        } else if is_over {
            self.end(turn.instance);
            return;
        }
        if let Some(runtime) = &mut place.runtime {
            let shared = &place.opening.shared;
            for Query { token, answer } in runtime.instance.queries.take() {
                let shared = Arc::clone(shared);
                self.queries.spawn_local(async move { (shared, token, answer.await) });
            }
            place.opening.freed.fetch_add(runtime.take_freed(), Ordering::Relaxed);
            let timeout = runtime.next_timeout();
            if timeout != place.timeout {
                if let Some(old) = place.timeout {
                    self.timeouts.remove(&(old, turn.instance));
                }
                place.timeout = timeout;
                self.timeouts.extend(timeout.map(|at| (at, turn.instance)));
            }
        }
        self.poke(turn.instance);
    }

    /// An instance has ended.
    fn end(&mut self, number: usize) {
        let Some(place) = self.places.try_remove(number) else { return };
        if let Some(at) = place.timeout {
            self.timeouts.remove(&(at, number));
        }
        self.schedule.leave(place.app);
        let shared = &place.opening.shared;
        shared.set_busy(None);
        shared.set_state(ScriptState::Stopped);
        shared.answer_for_script();
        let max_used = place.runtime.as_ref().map_or(0, |runtime| runtime.script.max_used());
        drop(place.runtime);
        place.opening.freed.fetch_add(max_used, Ordering::Relaxed);
    }
}

/// Waits until `deadline`; for ever when there is none.
async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
