//! What clients do is drawn from the seed, at even rates.

use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// Where decisions of clients come from.
pub(super) struct Dice(pub(super) ChaCha20Rng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha20Rng::seed_from_u64(seed))
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.0.next_u64() % bound.max(1) as u64) as usize
    }

    /// True in so many of a hundred cases.
    pub(super) fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    /// One of these.
    pub(super) fn one_of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }

    /// Times of which most are short and some are long, with this mean.
    pub(super) fn stay(&mut self, mean: Duration) -> Duration {
        let uniform = (self.below(1 << 20) + 1) as f64 / f64::from(1 << 20);
        mean.mul_f64(-uniform.ln())
    }

    pub(super) fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.0.fill_bytes(&mut seed);
        seed
    }
}

/// How often something is done.
pub(super) struct Pace {
    per_second: f64,
    credit: f64,
    last: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant, per_second: f64) -> Self {
        Self { per_second, credit: 0.0, last: now }
    }

    /// How often it is to be done now. What could not be done for a while is not caught up with.
    pub(super) fn due(&mut self, now: Instant) -> usize {
        let passed = now.saturating_duration_since(self.last).min(Duration::from_millis(500));
        self.last = now;
        self.credit += passed.as_secs_f64() * self.per_second;
        let due = self.credit.floor();
        self.credit -= due;
        due as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_kept_and_nothing_is_caught_up_with() {
        let (begin, step) = (Instant::now(), Duration::from_millis(10));
        let mut pace = Pace::new(begin, 5.0);
        let done: usize = (1..=200).map(|number| pace.due(begin + step * number)).sum();
        assert!((9..=10).contains(&done), "{done}");
        assert!(pace.due(begin + Duration::from_secs(1000)) <= 3);
    }

    #[test]
    fn stays_have_their_mean() {
        let mut dice = Dice::new(3);
        let total: f64 = (0..10_000).map(|_| dice.stay(Duration::from_secs(10)).as_secs_f64()).sum();
        assert!((95_000.0..105_000.0).contains(&total), "{total}");
        assert!(dice.one_of::<u8>(&[]).is_none() && !dice.percent(0) && dice.percent(100));
    }
}
