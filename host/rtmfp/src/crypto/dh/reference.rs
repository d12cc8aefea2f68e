//! What crypto-bigint computes, for comparison.

use crypto_bigint::Uint;
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};

use super::arithmetic::strip;
use super::montgomery::Number;

/// Arithmetic modulo a prime by crypto-bigint.
pub(super) struct Reference<const L: usize>(FixedMontyParams<L>);

impl<const L: usize> Reference<L> {
    pub(super) fn new(prime: &Number<L>) -> Self {
        let prime = Uint::from_words(*prime);
        Self(FixedMontyParams::new_vartime(prime.to_odd().unwrap()))
    }

    /// The product of two numbers, big-endian without leading zero bytes.
    pub(super) fn product(&self, one: &Number<L>, other: &Number<L>) -> Vec<u8> {
        bytes(&(self.form(one) * self.form(other)))
    }

    /// The power, of a big-endian base and exponent.
    pub(super) fn power(&self, base: &[u8], exponent: &[u8]) -> Vec<u8> {
        let bits = 8 * exponent.len() as u32;
        bytes(&self.form(&number(base)).pow_bounded_exp(&Uint::<L>::from_words(number(exponent)), bits))
    }

    fn form(&self, number: &Number<L>) -> FixedMontyForm<L> {
        FixedMontyForm::new(&Uint::from_words(*number), &self.0)
    }
}

fn bytes<const L: usize>(form: &FixedMontyForm<L>) -> Vec<u8> {
    let words = form.retrieve().to_words();
    strip(&words.iter().rev().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>()).to_vec()
}

fn number<const L: usize>(bytes: &[u8]) -> Number<L> {
    let mut number = [0; L];
    for (place, byte) in bytes.iter().rev().enumerate() {
        number[place / 8] |= u64::from(*byte) << (8 * (place % 8));
    }
    number
}
