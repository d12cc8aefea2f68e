//! Counts what came of attempts to meet, by the kinds of NAT at both ends.

use std::sync::atomic::{AtomicU64, Ordering};

use super::nat_kind::NatKind;
use super::outcome::Outcome;

const KINDS: usize = NatKind::ALL.len();
const OUTCOMES: usize = Outcome::ALL.len();

/// The counts of one worker. Only that worker adds to them, and any thread reads them; they fill pairs of cache lines of their own.
#[derive(Debug)]
#[repr(align(128))]
struct WorkerMeetings {
    outcomes: [[[AtomicU64; KINDS]; KINDS]; OUTCOMES],
    not_followed: AtomicU64,
    under_way: AtomicU64,
}

/// What came of the attempts to meet of all workers. Times are settled ones: an attempt counts when it has been quiet for some seconds, or
/// when it is clear that the two have not met.
#[derive(Debug)]
pub struct Meetings(Box<[WorkerMeetings]>);

/// How often peers behind NATs of two kinds met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairCount {
    /// The asker's NAT.
    pub asker_nat: NatKind,
    /// The target's NAT.
    pub target_nat: NatKind,
    /// How often they met: [`Outcome::Met`].
    pub met: u64,
    /// How often they met by a relay: [`Outcome::Relayed`].
    pub relayed: u64,
    /// How often the server cannot tell: [`Outcome::Repeated`].
    pub repeated: u64,
    /// How often they did not meet: [`Outcome::GivenUp`].
    pub not_met: u64,
}

impl Meetings {
    /// Counts for workers that are numbered from 0. There is at least one.
    pub fn new(workers: u8) -> Self {
        let zeros = || std::array::from_fn(|_| std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))));
        let worker =
            |_| WorkerMeetings { outcomes: zeros(), not_followed: AtomicU64::new(0), under_way: AtomicU64::new(0) };
        Self((0..workers.max(1)).map(worker).collect())
    }

    fn worker(&self, worker: u8) -> &WorkerMeetings {
        &self.0[usize::from(worker) % self.0.len()]
    }

    /// Counts an attempt that is settled.
    pub fn add(&self, worker: u8, outcome: Outcome, asker_nat: NatKind, target_nat: NatKind) {
        let Some(place) = outcome.place() else { return };
        let counts = &self.worker(worker).outcomes[place];
        counts[asker_nat as usize][target_nat as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a hello whose attempt there is no room to follow.
    pub fn add_not_followed(&self, worker: u8) {
        self.worker(worker).not_followed.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes how many attempts a worker follows now.
    pub fn set_under_way(&self, worker: u8, attempts: usize) {
        self.worker(worker).under_way.store(attempts as u64, Ordering::Relaxed);
    }

    /// How many attempts with that outcome there were between ends of these kinds.
    pub fn count(&self, outcome: Outcome, asker_nat: NatKind, target_nat: NatKind) -> u64 {
        let Some(place) = outcome.place() else { return 0 };
        let of = |worker: &WorkerMeetings| {
            worker.outcomes[place][asker_nat as usize][target_nat as usize].load(Ordering::Relaxed)
        };
        self.0.iter().map(of).sum()
    }

    /// How many attempts had each outcome.
    pub fn outcomes(&self) -> Vec<(Outcome, u64)> {
        let sum = |outcome| pairs().map(|(asker, target)| self.count(outcome, asker, target)).sum();
        Outcome::ALL.into_iter().map(|outcome| (outcome, sum(outcome))).collect()
    }

    /// Which kinds of pairs met, without the pairs that were never introduced.
    pub fn pairs(&self) -> Vec<PairCount> {
        let counts = pairs().map(|(asker_nat, target_nat)| PairCount {
            asker_nat,
            target_nat,
            met: self.count(Outcome::Met, asker_nat, target_nat),
            relayed: self.count(Outcome::Relayed, asker_nat, target_nat),
            repeated: self.count(Outcome::Repeated, asker_nat, target_nat),
            not_met: self.count(Outcome::GivenUp, asker_nat, target_nat),
        });
        counts.filter(|count| count.met + count.relayed + count.repeated + count.not_met > 0).collect()
    }

    /// How many hellos belonged to attempts that there was no room to follow.
    pub fn not_followed(&self) -> u64 {
        self.0.iter().map(|worker| worker.not_followed.load(Ordering::Relaxed)).sum()
    }

    /// How many attempts are followed now.
    pub fn under_way(&self) -> u64 {
        self.0.iter().map(|worker| worker.under_way.load(Ordering::Relaxed)).sum()
    }
}

/// All pairs of kinds.
pub fn pairs() -> impl Iterator<Item = (NatKind, NatKind)> {
    NatKind::ALL.into_iter().flat_map(|asker| NatKind::ALL.into_iter().map(move |target| (asker, target)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meetings::LookupAnswer;

    #[test]
    fn outcomes_of_all_workers_add_up_by_pair() {
        let meetings = Meetings::new(2);
        let (one, other) = (NatKind::PortPreserving, NatKind::PortChanging);
        for (worker, outcome, asker, target) in [
            (0, Outcome::Met, one, one),
            (1, Outcome::Met, one, one),
            (1, Outcome::Repeated, one, one),
            (0, Outcome::Relayed, other, one),
            (0, Outcome::GivenUp, other, one),
            (1, Outcome::GivenUp, one, other),
            (0, Outcome::NotIntroduced(LookupAnswer::Denied), other, NatKind::Unknown),
        ] {
            meetings.add(worker, outcome, asker, target);
        }
        let of = |asker_nat, target_nat, [met, relayed, repeated, not_met]: [u64; 4]| PairCount {
            asker_nat,
            target_nat,
            met,
            relayed,
            repeated,
            not_met,
        };
        let expected = [of(one, one, [2, 0, 1, 0]), of(one, other, [0, 0, 0, 1]), of(other, one, [0, 1, 0, 1])];
        assert_eq!(meetings.pairs(), expected);
        let outcomes: Vec<_> = meetings.outcomes().into_iter().filter(|(_, count)| *count > 0).collect();
        let denied = Outcome::NotIntroduced(LookupAnswer::Denied);
        let expected =
            [(Outcome::Met, 2), (Outcome::Repeated, 1), (Outcome::Relayed, 1), (Outcome::GivenUp, 2), (denied, 1)];
        assert_eq!((outcomes.as_slice(), meetings.outcomes().len()), (&expected[..], OUTCOMES));
    }

    #[test]
    fn what_is_under_way_is_a_number_and_what_is_not_followed_a_count() {
        let meetings = Meetings::new(2);
        for (worker, attempts) in [(0, 5), (1, 7), (0, 3)] {
            meetings.set_under_way(worker, attempts);
            meetings.add_not_followed(worker);
        }
        assert_eq!((meetings.under_way(), meetings.not_followed()), (10, 3));
    }

    #[test]
    fn workers_share_no_cache_line() {
        assert_eq!((size_of::<WorkerMeetings>() % 128, align_of::<WorkerMeetings>()), (0, 128));
    }
}
