//! Numbers modulo a prime of the groups, in limbs of 64 bits, without special instructions.
//!
//! Multiplication is Montgomery's, with `R = 2^(64 L)` for `L` limbs. It uses what all the primes have in common: the lowest limb is all ones. So the
//! prime is `2^64 q - 1`, and a number whose lowest limb is `m` is divided by `2^64` modulo the prime by dropping that limb and adding
//! `m q`: there is no factor to be computed, and one product of limbs less in each row. Products are below `R` and may exceed the prime.
//! No branch and no address depends on the value of a number: tables are read whole, with masks.

use std::array::from_fn;
use std::hint::black_box;

use zeroize::Zeroize as _;

/// The bits of an exponent that are taken at a time.
const WINDOW: usize = 4;
const ENTRIES: usize = 1 << WINDOW;

/// A number below `R`, least significant limb first.
pub(super) type Number<const L: usize> = [u64; L];

/// A prime whose lowest and highest limbs are all ones. `L` is even.
pub(super) struct Modulus<const L: usize> {
    prime: Number<L>,
    /// `(prime + 1) / 2^64`. The last limb is 0.
    quotient: Number<L>,
    /// `R` modulo the prime: the number 1 in Montgomery's form.
    pub(super) unit: Number<L>,
    /// `R^2` modulo the prime, which brings numbers into Montgomery's form.
    square: Number<L>,
}

impl<const L: usize> Modulus<L> {
    pub(super) fn new(prime: &Number<L>) -> Self {
        assert!(L.is_multiple_of(2) && prime[0] == u64::MAX && prime[L - 1] == u64::MAX, "a prime of the MODP groups");
        // The quotient is the limbs above the lowest, and 1.
        let mut quotient = from_fn(|limb| prime.get(limb + 1).copied().unwrap_or_default());
        let mut carry = true;
        for limb in &mut quotient {
            (*limb, carry) = limb.carrying_add(0, carry);
        }
        // R is less than twice the prime.
        let unit = subtract(&[0; L], prime).0;
        let mut modulus = Self { prime: *prime, quotient, unit, square: unit };
        for _ in 0..64 * L {
            modulus.square = modulus.doubled(&modulus.square);
        }
        modulus
    }

    /// The prime, big-endian.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        to_bytes(&self.prime)
    }

    /// A big-endian number in Montgomery's form. Of one that is longer than the prime, what exceeds it is cut off at the front.
    pub(super) fn number(&self, bytes: &[u8]) -> Number<L> {
        let mut number = from_bytes(bytes);
        let converted = self.product(&number, &self.square);
        number.zeroize();
        converted
    }

    /// The number that `number` stands for, which is below the prime: big-endian, without leading zero bytes.
    pub(super) fn bytes(&self, number: &Number<L>) -> Vec<u8> {
        let mut one = [0; L];
        one[0] = 1;
        let mut plain = self.product(number, &one);
        let (mut less, is_below) = subtract(&plain, &self.prime);
        let keep = mask(is_below);
        for (limb, less) in plain.iter_mut().zip(&less) {
            *limb = *limb & keep | *less & !keep;
        }
        let bytes = to_bytes(&plain);
        plain.zeroize();
        less.zeroize();
        bytes
    }

    /// `base^exponent` of a number in Montgomery's form. The exponent is big-endian; its length shows in the time this takes.
    pub(super) fn power(&self, base: &Number<L>, exponent: &[u8]) -> Number<L> {
        let mut table = [self.unit; ENTRIES];
        table[1] = *base;
        for entry in 2..ENTRIES {
            table[entry] = if entry.is_multiple_of(2) {
                self.squared(&table[entry / 2])
            } else {
                self.product(&table[entry - 1], base)
            };
        }
        let mut digits = exponent.iter().flat_map(|byte| [byte >> WINDOW, byte % ENTRIES as u8]);
        let mut result = digits.next().map_or(self.unit, |first| select(&table, first));
        for digit in digits {
            for _ in 0..WINDOW {
                result = self.squared(&result);
            }
            let mut factor = select(&table, digit);
            result = self.product(&result, &factor);
            factor.zeroize();
        }
        table.zeroize();
        result
    }

    /// The product of two numbers, divided by `R`.
    pub(super) fn product(&self, one: &Number<L>, other: &Number<L>) -> Number<L> {
        let mut sums = [0; L];
        // What exceeds the limbs: 0 or 1.
        let mut excess = 0;
        for factor in other {
            let (multiple, mut carry) = factor.carrying_mul_add(one[0], sums[0], 0);
            let mut cleared = 0;
            for limb in 1..L {
                let sum;
                (sum, carry) = factor.carrying_mul_add(one[limb], sums[limb], carry);
                (sums[limb - 1], cleared) = multiple.carrying_mul_add(self.quotient[limb - 1], sum, cleared);
            }
            (sums[L - 1], excess) = sum_of_three(carry, cleared, excess);
        }
        self.without_excess(&sums, excess)
    }

    /// The square of a number, divided by `R`.
    pub(super) fn squared(&self, number: &Number<L>) -> Number<L> {
        let mut halves = [[0; L]; 2];
        let sums = halves.as_flattened_mut();
        // The products of different limbs, which are there twice: two rows at a time, so that each sum is read and written half as often.
        for row in (0..L).step_by(2) {
            let (limbs, sums) = (&number[row..], &mut sums[2 * row..row + L + 2]);
            let (first, second, count) = (limbs[0], limbs[1], limbs.len());
            let (mut carry, mut next_carry) = (0, 0);
            (sums[1], carry) = first.carrying_mul_add(second, sums[1], carry);
            for limb in 2..count {
                let sum;
                (sum, carry) = first.carrying_mul_add(limbs[limb], sums[limb], carry);
                // The second row begins one limb later, because the product of its limb with itself is not among these.
                (sums[limb], next_carry) =
                    if limb == 2 { (sum, 0) } else { second.carrying_mul_add(limbs[limb - 1], sum, next_carry) };
            }
            (sums[count], sums[count + 1]) =
                if count == 2 { (carry, 0) } else { second.carrying_mul_add(limbs[count - 1], carry, next_carry) };
        }
        let (mut carry, mut bit) = (false, 0);
        for (pair, limb) in sums.chunks_exact_mut(2).zip(number) {
            let (low, high) = limb.carrying_mul(*limb, 0);
            let doubled = [pair[0] << 1 | bit, pair[1] << 1 | pair[0] >> 63];
            bit = pair[1] >> 63;
            (pair[0], carry) = doubled[0].carrying_add(low, carry);
            (pair[1], carry) = doubled[1].carrying_add(high, carry);
        }
        self.divided(&mut halves)
    }

    /// Divides a number of twice the limbs by `R`, two limbs at a time.
    #[inline(always)]
    fn divided(&self, halves: &mut [Number<L>; 2]) -> Number<L> {
        let sums = halves.as_flattened_mut();
        let mut excess = 0;
        for row in (0..L).step_by(2) {
            let sums = &mut sums[row..row + L + 2];
            let multiple = sums[0];
            let (next_multiple, mut carry) = multiple.carrying_mul_add(self.quotient[0], sums[1], 0);
            let mut next_carry = 0;
            #[expect(
                clippy::needless_range_loop,
                reason = "a limb is one of three numbers, each with a place of its own"
            )]
            for limb in 2..L {
                let sum;
                (sum, carry) = multiple.carrying_mul_add(self.quotient[limb - 1], sums[limb], carry);
                (sums[limb], next_carry) = next_multiple.carrying_mul_add(self.quotient[limb - 2], sum, next_carry);
            }
            let (sum, over) = next_multiple.carrying_mul_add(self.quotient[L - 2], sums[L], next_carry);
            let carried;
            (sums[L], carried) = sum_of_three(sum, carry, excess);
            (sums[L + 1], excess) = sum_of_three(sums[L + 1], over, carried);
        }
        self.without_excess(&halves[1], excess)
    }

    /// `number + excess R`, less the prime if there is an excess.
    #[inline(always)]
    fn without_excess(&self, number: &Number<L>, excess: u64) -> Number<L> {
        let is_wanted = mask(excess != 0);
        let mut borrow = false;
        from_fn(|limb| {
            let difference;
            (difference, borrow) = number[limb].borrowing_sub(self.prime[limb] & is_wanted, borrow);
            difference
        })
    }

    /// Twice a number that is below the prime, modulo the prime. The number is no secret.
    fn doubled(&self, number: &Number<L>) -> Number<L> {
        let mut carry = false;
        let doubled = number.map(|limb| {
            let sum;
            (sum, carry) = limb.carrying_add(limb, carry);
            sum
        });
        let (less, is_below) = subtract(&doubled, &self.prime);
        if is_below && !carry { doubled } else { less }
    }
}

/// The entry at `wanted`, found by reading all of them.
pub(super) fn select<const L: usize>(table: &[Number<L>], wanted: u8) -> Number<L> {
    let mut selected = [0; L];
    for (entry, number) in table.iter().zip(0u8..) {
        let is_wanted = mask(number == wanted);
        for (limb, value) in selected.iter_mut().zip(entry) {
            *limb |= value & is_wanted;
        }
    }
    selected
}

/// All ones if it is so, else 0. That it is one of these is hidden from the compiler, which could make a branch of it.
#[inline(always)]
fn mask(is_so: bool) -> u64 {
    black_box(u64::from(is_so).wrapping_neg())
}

/// The sum, and its second limb.
#[inline(always)]
fn sum_of_three(one: u64, two: u64, three: u64) -> (u64, u64) {
    let sum = u128::from(one) + u128::from(two) + u128::from(three);
    (sum as u64, (sum >> 64) as u64)
}

/// `one - other`, and whether that is negative.
fn subtract<const L: usize>(one: &Number<L>, other: &Number<L>) -> (Number<L>, bool) {
    let mut borrow = false;
    let difference = from_fn(|limb| {
        let difference;
        (difference, borrow) = one[limb].borrowing_sub(other[limb], borrow);
        difference
    });
    (difference, borrow)
}

/// A big-endian number; what exceeds the limbs is cut off at the front.
fn from_bytes<const L: usize>(bytes: &[u8]) -> Number<L> {
    let mut number = [0; L];
    for (limb, chunk) in number.iter_mut().zip(bytes.rchunks(8)) {
        *limb = chunk.iter().fold(0, |limb, byte| limb << 8 | u64::from(*byte));
    }
    number
}

/// Big-endian, without leading zero bytes.
fn to_bytes<const L: usize>(number: &Number<L>) -> Vec<u8> {
    let mut bytes: Vec<u8> = number.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    bytes
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng as _, SeedableRng as _};

    use super::*;
    use crate::crypto::dh::primes::{MODP2, MODP5, MODP14, MODP16};
    use crate::crypto::dh::reference::Reference;

    /// Numbers at the edges: 0 and 1, around the prime and `R`, and with limbs that are all ones or all zeros.
    fn edges<const L: usize>(prime: &Number<L>) -> Vec<Number<L>> {
        let near = |number: &Number<L>, less: u64| {
            let mut low = [0; L];
            low[0] = less;
            subtract(number, &low).0
        };
        let zero = [0; L];
        let mut edges: Vec<_> = (0..3).map(|less| near(prime, less)).collect();
        edges.extend((1..4).map(|less| near(&zero, less)));
        edges.extend([zero, from_fn(|limb| u64::from(limb == 0)), from_fn(|limb| u64::from(limb == L - 1) << 63)]);
        edges.push(subtract(&zero, prime).0);
        edges.push(from_fn(|limb| if limb.is_multiple_of(2) { u64::MAX } else { 0 }));
        edges.push(from_fn(|limb| if limb < L / 2 { u64::MAX } else { 0 }));
        edges
    }

    fn check<const L: usize>(prime: &Number<L>, rounds: usize) {
        let (modulus, reference) = (Modulus::new(prime), Reference::new(prime));
        let mut rng = ChaCha20Rng::seed_from_u64(L as u64);
        let edges = edges(prime);
        let of_edges = edges.iter().flat_map(|one| edges.iter().map(move |other| (*one, *other)));
        let random = (0..rounds).map(|round| {
            let mut number = || from_fn(|_| rng.next_u64());
            let (one, other) = (number(), number());
            // Some with many zeros or ones, in which carries go far.
            let sparse = edges[round % edges.len()];
            match round % 4 {
                0 => (one, from_fn(|limb| one[limb] & sparse[limb])),
                1 => (from_fn(|limb| one[limb] | sparse[limb]), other),
                _ => (one, other),
            }
        });
        // A factor R goes with each multiplication, and one with `bytes`.
        let plain = |number: &Number<L>| {
            modulus.bytes(&modulus.product(&modulus.product(number, &modulus.square), &modulus.square))
        };
        for (one, other) in of_edges.chain(random) {
            let expected = reference.product(&one, &other);
            assert_eq!(plain(&modulus.product(&one, &other)), expected, "{one:x?} {other:x?}");
            assert_eq!(modulus.squared(&one), modulus.product(&one, &one), "{one:x?}");
        }
    }

    #[test]
    fn products_and_squares_are_those_of_crypto_bigint() {
        check(&MODP2, 40_000);
        check(&MODP5, 10_000);
        check(&MODP14, 5_000);
        check(&MODP16, 500);
    }

    #[test]
    fn a_number_that_is_the_prime_is_zero() {
        let modulus = Modulus::new(&MODP2);
        assert_eq!(modulus.bytes(&MODP2), [0; 0]);
        assert_eq!(modulus.bytes(&[0; 16]), [0; 0]);
        assert_eq!(modulus.bytes(&modulus.unit), [1]);
        assert_eq!(modulus.bytes(&modulus.number(&modulus.to_bytes())), [0; 0]);
    }

    #[test]
    fn an_entry_is_selected_by_its_number() {
        let table: [Number<2>; 32] = from_fn(|entry| [entry as u64, !(entry as u64)]);
        for wanted in 0..32 {
            assert_eq!(select(&table, wanted), table[usize::from(wanted)]);
        }
        assert_eq!(select(&table, 32), [0; 2], "no such entry");
    }
}
