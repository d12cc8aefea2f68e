//! What one session may cost the endpoint.
//!
//! The endpoint measures what a session's packets make it do in units of work that are counted, not timed: chunks, searches,
//! flows, and what the application adds with [`Endpoint::charge`](crate::Endpoint::charge). A session that has used up its share
//! of a second is not read until the share is there again. To the far end that is loss, and its congestion control slows it down.
//! If most of what it sends is dropped for many seconds on end, it does not react to that either, and the application is told.
//!
//! Only packets that are verified cost anything, so no other host can use up a session's share.

mod handover;

use std::time::Duration;

use crate::token_bucket::{Rate, TokenBucket};

/// How many seconds in a row may have more datagrams dropped than taken: congestion control adapts within some round trips.
const MAX_BAD_SECONDS: u8 = 10;
/// How many seconds' worth of work a session can owe.
const MAX_DEBT_SECONDS: u32 = 4;

/// Whether a datagram is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is.
    Take,
    /// It is not: the session has used up its share.
    Drop,
    /// As [`Admission::Drop`], for the first time since the session was within its share for a whole second.
    Slow,
    /// As [`Admission::Drop`]: the session has been over its share for too long. Said once a second.
    TooLong,
}

/// The work that a session has made, and what follows from it.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// Counted from when the session opened.
    second: u32,
    /// A token is a unit of work. Tokens flow in once a second.
    bucket: TokenBucket,
    /// Datagrams in this second.
    taken: u32,
    dropped: u32,
    bad_seconds: u8,
    /// It has not been within its share for a whole second since it was slowed.
    is_slowed: bool,
}

impl Budget {
    /// A datagram has come in the `second`th second of the session, which may make `limit` units of work in each.
    pub(crate) fn admit(&mut self, second: u32, limit: u32) -> Admission {
        if second > self.second {
            self.begin(second);
        }
        if self.bucket.has(at(self.second), rate(limit), 1) {
            self.taken = self.taken.saturating_add(1);
            return Admission::Take;
        }
        self.dropped = self.dropped.saturating_add(1);
        if self.dropped > 1 {
            Admission::Drop
        } else if self.bad_seconds >= MAX_BAD_SECONDS {
            Admission::TooLong
        } else if !std::mem::replace(&mut self.is_slowed, true) {
            Admission::Slow
        } else {
            Admission::Drop
        }
    }

    fn begin(&mut self, second: u32) {
        let passed = second - self.second;
        let was_bad = passed == 1 && self.dropped > self.taken;
        self.bad_seconds = if was_bad { self.bad_seconds.saturating_add(1) } else { 0 };
        self.is_slowed &= passed == 1 && self.dropped > 0;
        (self.second, self.taken, self.dropped) = (second, 0, 0);
    }

    /// Counts units of work that the session has made.
    pub(crate) fn charge(&mut self, units: u32, limit: u32) {
        let (at, rate) = (at(self.second), rate(limit));
        self.bucket.spend(at, rate, units);
        // The bucket's own content is one second's worth.
        self.bucket.forgive(at, rate, u64::from(limit) * u64::from(MAX_DEBT_SECONDS));
    }
}

fn at(second: u32) -> Duration {
    Duration::from_secs(second.into())
}

fn rate(limit: u32) -> Rate {
    Rate { burst: limit, per_second: limit }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u32 = 1000;

    /// Handles a number of datagrams of `units` each in a second: how many are taken, and the other answers.
    fn second(budget: &mut Budget, second: u32, datagrams: u32, units: u32) -> (u32, Vec<Admission>) {
        let (mut taken, mut said) = (0, Vec::new());
        for _ in 0..datagrams {
            match budget.admit(second, LIMIT) {
                Admission::Take => {
                    taken += 1;
                    budget.charge(units, LIMIT);
                }
                Admission::Drop => (),
                other => said.push(other),
            }
        }
        (taken, said)
    }

    #[test]
    fn a_session_within_its_share_is_never_slowed() {
        let mut budget = Budget::default();
        for at in 0..1000 {
            assert_eq!(second(&mut budget, at, 99, 10), (99, vec![]));
        }
    }

    #[test]
    fn a_session_over_its_share_gets_its_share() {
        let mut budget = Budget::default();
        let taken: u32 = (0..10).map(|at| second(&mut budget, at, 1000, 10).0).sum();
        assert_eq!(taken, 10 * LIMIT / 10);
        // One datagram may cost more than a second's worth; what it owes is bounded.
        budget.charge(u32::MAX, LIMIT);
        assert_eq!(second(&mut budget, 8 + MAX_DEBT_SECONDS, 1, 1).0, 0);
        assert_eq!(second(&mut budget, 10 + MAX_DEBT_SECONDS, 1, 1).0, 1);
    }

    #[test]
    fn a_far_end_that_does_not_slow_down_is_told_of_once_a_second() {
        let mut budget = Budget::default();
        let said: Vec<Vec<Admission>> = (0..13).map(|at| second(&mut budget, at, 1000, 10).1).collect();
        assert_eq!(said[0], [Admission::Slow]);
        assert!(said[1..10].iter().all(Vec::is_empty));
        assert!(said[10..].iter().all(|said| *said == [Admission::TooLong]), "{said:?}");
    }

    #[test]
    fn a_far_end_that_slows_down_stays() {
        let mut budget = Budget::default();
        let said: Vec<Admission> = (0..1000).flat_map(|at| second(&mut budget, at, 150, 10).1).collect();
        assert_eq!(said, [Admission::Slow]);
        // After a second within its share it is told again.
        second(&mut budget, 1001, 1, 1);
        second(&mut budget, 1002, 1, 1);
        assert_eq!(second(&mut budget, 1003, 150, 10).1, [Admission::Slow]);
    }

    #[test]
    fn a_second_of_silence_ends_a_row_of_bad_ones() {
        let mut budget = Budget::default();
        (0..=MAX_BAD_SECONDS.into()).for_each(|at| _ = second(&mut budget, at, 1000, 10));
        let after_silence = u32::from(MAX_BAD_SECONDS) + 2;
        assert_eq!(second(&mut budget, after_silence, 1000, 10).1, [Admission::Slow]);
    }

    #[test]
    fn a_second_with_as_much_taken_as_dropped_is_not_bad() {
        let mut budget = Budget::default();
        let said: Vec<Admission> = (0..30).flat_map(|at| second(&mut budget, at, 200, 10).1).collect();
        assert_eq!(said, [Admission::Slow]);
    }

    #[test]
    fn a_session_is_told_of_again_after_a_second_within_its_share() {
        let mut budget = Budget::default();
        let said = [150, 1, 150].into_iter().zip(0..).map(|(datagrams, at)| second(&mut budget, at, datagrams, 10).1);
        assert_eq!(said.collect::<Vec<_>>(), [vec![Admission::Slow], vec![], vec![Admission::Slow]]);
    }
}
