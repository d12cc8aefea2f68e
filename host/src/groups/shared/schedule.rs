//! What is to be asked of the registry, and when: a value in virtual time.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use introd_netgroup::{GroupDigest, GroupKey};
use rtmfp::{PeerId, SessionId};

/// The maximum number of queries at a time.
pub(super) const MAX_ASKING: usize = 64;
/// What has failed is repeated after this time, and after twice the time with each further failure, up to [`MAX_BACKOFF`].
pub(super) const BACKOFF: Duration = Duration::from_secs(1);
/// The longest time between two attempts.
pub(super) const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// How long after an answer a member asks again.
pub(super) const SWEEP: Duration = Duration::from_secs(300);
/// The shortest time between two members that ask again: fifty in a second, whatever the number of members.
pub(super) const SWEEP_SPACING: Duration = Duration::from_millis(20);
/// How long after its start a process that takes another's place reckons with what that one has published. All members that come over are
/// looked at long before.
const INHERITING: Duration = Duration::from_secs(60);
/// A membership that cannot be withdrawn is forgotten after so many attempts: until then it takes memory.
const MAX_WITHDRAWALS: u32 = 3;

/// Names a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct MemberId {
    pub(super) key: GroupKey,
    pub(super) peer: PeerId,
}

/// What is to be done next. Each step is followed by the call that says how it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The membership is to be published: [`Schedule::published`] follows.
    Publish(MemberId),
    /// The membership is to be withdrawn: [`Schedule::withdrawn`] follows.
    Withdraw(MemberId),
    /// The registry is to be asked for the neighbours: [`Schedule::answered`] follows, whenever the answer comes.
    Ask(MemberId),
}

/// The queue in which a membership stands, and its time there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It is to be published or withdrawn.
    Writes(Instant),
    /// It is to ask: it is new, or its last query has failed.
    Asks(Instant),
    /// It is to ask again.
    Sweeps(Instant),
    /// Its query is under way.
    Asking,
}

struct Entry {
    digest: GroupDigest,
    /// The session of the member; `None` if it has left.
    session: Option<SessionId>,
    is_published: bool,
    /// How often in a row the present step has failed.
    failures: u32,
    /// Whether another session has joined while a query was under way.
    is_again: bool,
    place: Place,
}

/// The memberships that are published or to be published, and those that are to be withdrawn.
pub(super) struct Schedule {
    entries: HashMap<MemberId, Entry>,
    writes: BTreeSet<(Instant, MemberId)>,
    asks: BTreeSet<(Instant, MemberId)>,
    sweeps: BTreeSet<(Instant, MemberId)>,
    asking: usize,
    /// When the next member may ask again.
    next_sweep: Instant,
    /// Until then what is not known here may have been published by the process whose place this one has taken.
    inherits_until: Option<Instant>,
}

impl Schedule {
    pub(super) fn new(now: Instant) -> Self {
        let (writes, asks, sweeps) = Default::default();
        Self { entries: HashMap::new(), writes, asks, sweeps, asking: 0, next_sweep: now, inherits_until: None }
    }

    /// The same, of a process that takes another's place: a member that comes and goes before it is looked at is withdrawn all the same.
    pub(super) fn inheriting(self, now: Instant) -> Self {
        Self { inherits_until: Some(now + INHERITING), ..self }
    }

    /// Takes out the memberships of members that have left, whatever they wait for.
    pub(super) fn take_gone(&mut self) -> Vec<MemberId> {
        let gone = self.entries.iter().filter(|(_, entry)| entry.session.is_none()).map(|(id, _)| *id);
        let gone: Vec<_> = gone.collect();
        for id in &gone {
            // Its place in the queues goes as well.
            self.put(*id, Place::Asking);
            self.entries.remove(id);
        }
        gone
    }

    /// Notes who the member is now: a session, or nobody.
    pub(super) fn set(&mut self, now: Instant, id: MemberId, digest: GroupDigest, session: Option<SessionId>) {
        let Some(entry) = self.entries.get_mut(&id) else {
            let may_be_inherited = self.inherits_until.is_some_and(|until| now < until);
            if session.is_some() || may_be_inherited {
                let (is_published, is_again, failures) = (session.is_none(), false, 0);
                let place = Place::Writes(now);
                self.writes.insert((now, id));
                self.entries.insert(id, Entry { digest, session, is_published, failures, is_again, place });
            }
            return;
        };
        if entry.session == session {
            return;
        }
        entry.session = session;
        entry.failures = 0;
        if entry.place == Place::Asking {
            entry.is_again = true;
            return;
        }
        let place = entry.due(now);
        self.put(id, place);
    }

    /// The next step that is due, if any.
    pub(super) fn next(&mut self, now: Instant) -> Option<Step> {
        if let Some(id) = pop_due(&mut self.writes, now) {
            let session = self.entries.get(&id)?.session;
            return Some(if session.is_some() { Step::Publish(id) } else { Step::Withdraw(id) });
        }
        if self.asking >= MAX_ASKING {
            return None;
        }
        let id = match pop_due(&mut self.asks, now) {
            Some(id) => id,
            None if self.next_sweep > now => return None,
            None => {
                let id = pop_due(&mut self.sweeps, now)?;
                self.next_sweep = now + SWEEP_SPACING;
                id
            }
        };
        let entry = self.entries.get_mut(&id)?;
        entry.place = Place::Asking;
        self.asking += 1;
        Some(Step::Ask(id))
    }

    /// When [`Self::next`] may have another step, if nothing else happens.
    pub(super) fn next_time(&self) -> Option<Instant> {
        let first = |queue: &BTreeSet<(Instant, MemberId)>| queue.first().map(|(at, _)| *at);
        let asks = first(&self.asks).into_iter().chain(first(&self.sweeps).map(|at| at.max(self.next_sweep)));
        let asks = asks.filter(|_| self.asking < MAX_ASKING);
        first(&self.writes).into_iter().chain(asks).min()
    }

    /// A membership was published, or could not be: then it is tried again.
    pub(super) fn published(&mut self, now: Instant, id: MemberId, is_done: bool) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if is_done {
            (entry.is_published, entry.failures) = (true, 0);
            let place = entry.due(now);
            self.put(id, place);
        } else {
            entry.failures += 1;
            let place = Place::Writes(now + backoff(id, entry.failures));
            self.put(id, place);
        }
    }

    /// A membership was withdrawn, or could not be. It is forgotten, at once or after some attempts.
    pub(super) fn withdrawn(&mut self, now: Instant, id: MemberId, is_done: bool) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.failures += 1;
        if is_done || !entry.is_published || entry.failures >= MAX_WITHDRAWALS {
            self.entries.remove(&id);
        } else {
            let place = Place::Writes(now + backoff(id, entry.failures));
            self.put(id, place);
        }
    }

    /// A query has been answered, or has failed: then it is tried again. Returns the group and the member to be told; `None` if it has left.
    pub(super) fn answered(&mut self, now: Instant, id: MemberId, is_done: bool) -> Option<(GroupDigest, SessionId)> {
        let entry = self.entries.get_mut(&id)?;
        self.asking -= usize::from(entry.place == Place::Asking);
        let is_again = std::mem::take(&mut entry.is_again);
        let place = if is_again {
            entry.due(now)
        } else if is_done {
            entry.failures = 0;
            Place::Sweeps(now + SWEEP)
        } else {
            entry.failures += 1;
            Place::Asks(now + backoff(id, entry.failures))
        };
        let told = entry.session.map(|session| (entry.digest, session));
        self.put(id, place);
        told
    }

    /// Moves a membership to a queue.
    fn put(&mut self, id: MemberId, place: Place) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        match std::mem::replace(&mut entry.place, place) {
            Place::Writes(at) => _ = self.writes.remove(&(at, id)),
            Place::Asks(at) => _ = self.asks.remove(&(at, id)),
            Place::Sweeps(at) => _ = self.sweeps.remove(&(at, id)),
            Place::Asking => (),
        }
        match place {
            Place::Writes(at) => _ = self.writes.insert((at, id)),
            Place::Asks(at) => _ = self.asks.insert((at, id)),
            Place::Sweeps(at) => _ = self.sweeps.insert((at, id)),
            Place::Asking => (),
        }
    }

    /// How many memberships there are, and how many queries are under way.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.entries.len(), self.asking)
    }
}

impl Entry {
    /// What is to be done at once.
    fn due(&self, now: Instant) -> Place {
        if self.session.is_some() && self.is_published { Place::Asks(now) } else { Place::Writes(now) }
    }
}

fn pop_due(queue: &mut BTreeSet<(Instant, MemberId)>, now: Instant) -> Option<MemberId> {
    let (at, id) = *queue.first()?;
    (at <= now).then(|| {
        queue.pop_first();
        id
    })
}

/// How long to wait after so many failures in a row. Memberships that fail together come back spread over a quarter of the time.
fn backoff(id: MemberId, failures: u32) -> Duration {
    let time = BACKOFF.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(MAX_BACKOFF);
    time - time / 4 * u32::from(id.peer.0[1]) / 255
}

#[cfg(test)]
mod tests;
