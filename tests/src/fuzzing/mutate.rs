//! Mutations that follow from a seed: what the smoke test does to the corpus in place of a fuzzer.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// A source of mutated inputs.
#[derive(Debug)]
pub struct Mutator(ChaCha20Rng);

impl Mutator {
    /// One whose choices follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha20Rng::seed_from_u64(seed))
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.0.next_u64() % bound as u64) as usize
    }

    /// One of the inputs with one to eight changes, at most `max_len` bytes long.
    pub fn mutate(&mut self, inputs: &[Vec<u8>], max_len: usize) -> Vec<u8> {
        let mut bytes = if inputs.is_empty() { Vec::new() } else { inputs[self.below(inputs.len())].clone() };
        for _ in 0..=self.below(8) {
            self.change(&mut bytes, inputs);
        }
        bytes.truncate(max_len);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, inputs: &[Vec<u8>]) {
        let at = self.below(bytes.len() + 1);
        let count = 1 + self.below(16);
        let end = (at + count).min(bytes.len());
        match self.below(8) {
            0 => {
                let mut new = vec![0; count];
                self.0.fill_bytes(&mut new);
                bytes.splice(at..at, new);
            }
            1 => drop(bytes.drain(at..end)),
            2 => {
                let copy = bytes[at..end].to_vec();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            3 => bytes.truncate(at),
            4 if !inputs.is_empty() => {
                let other = &inputs[self.below(inputs.len())];
                let from = self.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let interesting = [0, 1, 0x7f, 0x80, 0xff, self.below(256) as u8];
                let choice = interesting[self.below(interesting.len())];
                let bit = self.below(8);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = if choice & 1 == 0 { choice } else { *byte ^ 1 << bit };
                }
            }
        }
    }
}
