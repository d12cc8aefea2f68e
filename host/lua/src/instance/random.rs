//! Random bytes for scripts.

use std::cell::RefCell;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// Where random bytes come from.
#[derive(Default)]
pub(crate) struct Random {
    /// In tests: the seed, and the bytes that follow from it.
    seeded: Option<(u64, RefCell<ChaCha20Rng>)>,
}

impl Random {
    /// The same bytes each time, for tests.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { seeded: Some((seed, RefCell::new(ChaCha20Rng::seed_from_u64(seed)))) }
    }

    /// The seed, in tests that give one.
    pub(crate) fn seed(&self) -> Option<u64> {
        self.seeded.as_ref().map(|(seed, _)| *seed)
    }

    /// Fills the bytes, by the operating system unless there is a seed.
    ///
    /// # Errors
    /// If the operating system has no random bytes.
    pub(crate) fn fill(&self, bytes: &mut [u8]) -> Result<(), getrandom::Error> {
        match &self.seeded {
            Some((_, generator)) => {
                generator.borrow_mut().fill_bytes(bytes);
                Ok(())
            }
            None => getrandom::fill(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_bytes_each_time_and_the_system_other_ones() {
        let drawn = |random: &Random| {
            let mut bytes = [0; 32];
            random.fill(&mut bytes).unwrap();
            bytes
        };
        let (first, second, other) = (Random::seeded(7), Random::seeded(7), Random::seeded(8));
        let bytes = drawn(&first);
        assert_eq!(bytes, drawn(&second));
        assert_ne!(bytes, drawn(&first), "the next ones");
        assert_ne!(bytes, drawn(&other));
        assert_ne!(drawn(&Random::default()), drawn(&Random::default()));
        assert_eq!((first.seed(), Random::default().seed()), (Some(7), None));
    }
}
