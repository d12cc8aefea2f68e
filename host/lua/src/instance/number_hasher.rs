//! A quick hash of numbers that the server makes.

use std::hash::{BuildHasherDefault, Hasher};

/// Makes a [`NumberHasher`] for a map.
pub(crate) type NumberHashing = BuildHasherDefault<NumberHasher>;

/// Hashes numbers of requests, sessions and connections. The server makes them, so that no client can choose them to collide.
#[derive(Default)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        // A table looks at the highest and at the lowest bits.
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher, Hash};

    use super::*;

    /// How many of these have the same highest seven bits, and the same lowest ten bits, as others have on average.
    fn crowd<T: Hash>(values: impl Iterator<Item = T>) -> [usize; 2] {
        let hashes: Vec<u64> = values.map(|value| NumberHashing::default().hash_one(value)).collect();
        let different = |part: fn(&u64) -> u64| hashes.iter().map(part).collect::<HashSet<_>>().len();
        [different(|hash| hash >> 57), different(|hash| hash & 1023)].map(|different| hashes.len() / different)
    }

    #[test]
    fn numbers_that_follow_each_other_fill_a_table_evenly() {
        // 4,096 values in 128 and 1,024 places.
        for [high, low] in [
            crowd(0..4096_u64),
            crowd((0..4096_u64).map(|number| number << 20)),
            crowd((0..4096_u32).map(|number| (3_u8, number))),
        ] {
            assert!(high <= 64 && low <= 16, "{high} {low}");
        }
    }
}
