//! Eight exponentiations at once, one in each lane of AVX-512 registers, in limbs of 52 bits, with the instructions called IFMA.
//!
//! In groups 2 and 5 a batch of eight takes no longer than one exponentiation without these instructions, so that it pays for a single one
//! already; in group 14 it pays for two. Multiplication is Montgomery's, with `R = 2^(52 L)` for `L` limbs. All primes are `-1 mod 2^64`, so that
//! the factor by which a limb is cleared is the limb itself. Because `4 p < R`, products of numbers below `2 p` are below `2 p` again without
//! a comparison. No branch and no address depends on a secret: tables are read whole, with masks.
#![allow(
    unsafe_code,
    reason = "the intrinsics of `std::arch` that read and write memory demand it, and the call of what needs a feature"
)]

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_cmpeq_epi64_mask, _mm512_loadu_epi64, _mm512_madd52hi_epu64,
    _mm512_madd52lo_epu64, _mm512_mask_mov_epi64, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_srli_epi64,
    _mm512_storeu_epi64,
};

use zeroize::Zeroize;

use super::arithmetic::strip;
use super::comb::{self, Layout};

/// How many exponentiations there are in a batch.
const LANES: usize = 8;
pub(super) const LIMB_BITS: usize = 52;
const LIMB: u64 = (1 << LIMB_BITS) - 1;
/// Exponents are taken in pieces of so many bits.
const WINDOW: usize = 4;
const ENTRIES: usize = 1 << WINDOW;

/// A prime in limbs, least significant first.
pub(super) struct Modulus<const L: usize> {
    prime: [u64; L],
    /// The length of the prime.
    bytes: usize,
    /// `R^2`, which brings numbers into Montgomery's form.
    square: [u64; L],
}

/// The tables for powers of 2, which are the same in all lanes.
pub(super) struct Comb<const L: usize> {
    layout: Layout,
    /// In Montgomery's form, a table for each block.
    tables: Vec<[[u64; L]; comb::ENTRIES]>,
}

impl<const L: usize> Comb<L> {
    /// `entries` are those of all tables in their order, each multiplied by `R`: big-endian.
    pub(super) fn new(layout: Layout, entries: &[Vec<u8>]) -> Self {
        let tables = entries.as_chunks().0.iter();
        Self { layout, tables: tables.map(|table: &[_; _]| table.each_ref().map(|entry| to_limbs(entry))).collect() }
    }
}

/// Eight numbers: limb by limb, and in each limb lane by lane.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Eight<const L: usize>([[u64; LANES]; L]);

impl<const L: usize> Zeroize for Eight<L> {
    fn zeroize(&mut self) {
        self.0.as_flattened_mut().zeroize();
    }
}

/// Whether the processor has the instructions.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma")
}

impl<const L: usize> Modulus<L> {
    /// `prime` and `R^2 mod prime`, big-endian.
    pub(super) fn new(prime: &[u8], square: &[u8]) -> Self {
        Self { prime: to_limbs(prime), bytes: prime.len(), square: to_limbs(square) }
    }

    /// The powers of at most [`LANES`] bases and exponents, big-endian, without leading zero bytes. Of a base, what exceeds the length of the prime is cut
    /// off at the front. `None` if the processor does not have the instructions.
    pub(super) fn powers(&self, jobs: &[(&[u8], &[u8])]) -> Option<Vec<Vec<u8>>> {
        // SAFETY: the processor has these instructions.
        is_available().then(|| unsafe { self.powers_with_ifma(jobs) })
    }

    /// 2 to the powers of at most [`LANES`] exponents, as [`Self::powers`] computes them. `None` also if an exponent is too long for the tables.
    pub(super) fn powers_of_two(&self, comb: &Comb<L>, exponents: &[&[u8]]) -> Option<Vec<Vec<u8>>> {
        let fit = exponents.iter().all(|exponent| 8 * exponent.len() <= comb.layout.capacity());
        // SAFETY: the processor has these instructions.
        (fit && is_available()).then(|| unsafe { self.powers_of_two_with_ifma(comb, exponents) })
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    fn powers_of_two_with_ifma(&self, comb: &Comb<L>, exponents: &[&[u8]]) -> Vec<Vec<u8>> {
        let one = Self::one();
        let mut result = self.product(&one, &Eight::all(&self.square));
        for column in (0..comb.layout.columns).rev() {
            if column + 1 != comb.layout.columns {
                result = self.squared(&result);
            }
            for (block, table) in comb.tables.iter().enumerate() {
                let mut digits = [0; LANES];
                for (digit, exponent) in digits.iter_mut().zip(exponents) {
                    *digit = comb.layout.entry(exponent, block, column).into();
                }
                let mut factor = select_shared(table, &digits);
                result = self.product(&result, &factor);
                factor.zeroize();
                digits.zeroize();
            }
        }
        let mut plain = self.product(&result, &one);
        let powers = (0..exponents.len()).map(|lane| self.reduced(&plain, lane)).collect();
        result.zeroize();
        plain.zeroize();
        powers
    }

    /// The number 1 in all lanes, not in Montgomery's form.
    fn one() -> Eight<L> {
        let mut one = [0; L];
        one[0] = 1;
        Eight::all(&one)
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    fn powers_with_ifma(&self, jobs: &[(&[u8], &[u8])]) -> Vec<Vec<u8>> {
        let mut base = Eight([[0; LANES]; L]);
        for (lane, (number, _)) in jobs.iter().enumerate() {
            base.set(lane, &to_limbs(number.get(number.len().saturating_sub(self.bytes)..).unwrap_or_default()));
        }
        let bytes = jobs.iter().map(|(_, exponent)| exponent.len()).max().unwrap_or_default();
        let (one, square) = (Self::one(), Eight::all(&self.square));
        let unit = self.product(&one, &square);
        let mut table = [unit; ENTRIES];
        table[1] = self.product(&base, &square);
        for entry in 2..ENTRIES {
            table[entry] = self.product(&table[entry - 1], &table[1]);
        }
        let mut result = unit;
        for place in 0..bytes {
            for shift in [4, 0] {
                if place > 0 || shift == 0 {
                    for _ in 0..WINDOW {
                        result = self.squared(&result);
                    }
                }
                let mut digits = [0; LANES];
                for (digit, (_, exponent)) in digits.iter_mut().zip(jobs) {
                    // Shorter exponents begin with zeros.
                    let byte = (place + exponent.len()).checked_sub(bytes).and_then(|place| exponent.get(place));
                    *digit = u64::from(byte.copied().unwrap_or_default() >> shift) & 15;
                }
                let mut factor = select(&table, &digits);
                result = self.product(&result, &factor);
                factor.zeroize();
                digits.zeroize();
            }
        }
        let mut plain = self.product(&result, &one);
        let powers = (0..jobs.len()).map(|lane| self.reduced(&plain, lane)).collect();
        base.zeroize();
        table.zeroize();
        result.zeroize();
        plain.zeroize();
        powers
    }

    /// The eight products, divided by `R`.
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn product(&self, one: &Eight<L>, other: &Eight<L>) -> Eight<L> {
        let mut sums = [_mm512_setzero_si512(); L];
        for i in 0..L {
            let factor = other.limb(i);
            let lowest = _mm512_madd52lo_epu64(sums[0], one.limb(0), factor);
            // The prime is -1 here: the multiple of it that clears the lowest limb is that limb. The instructions take its 52 low bits.
            let multiple = lowest;
            let prime = |j: usize| _mm512_set1_epi64(self.prime[j].cast_signed());
            let cleared = _mm512_madd52lo_epu64(lowest, prime(0), multiple);
            let carry = _mm512_srli_epi64::<{ LIMB_BITS as u32 }>(cleared);
            for j in 1..L {
                let mut sum = sums[j];
                sum = _mm512_madd52lo_epu64(sum, one.limb(j), factor);
                sum = _mm512_madd52hi_epu64(sum, one.limb(j - 1), factor);
                sum = _mm512_madd52lo_epu64(sum, prime(j), multiple);
                sums[j - 1] = _mm512_madd52hi_epu64(sum, prime(j - 1), multiple);
            }
            sums[0] = _mm512_add_epi64(sums[0], carry);
            let last = _mm512_madd52hi_epu64(_mm512_setzero_si512(), one.limb(L - 1), factor);
            sums[L - 1] = _mm512_madd52hi_epu64(last, prime(L - 1), multiple);
        }
        normalized(sums)
    }

    /// The eight squares, divided by `R`.
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn squared(&self, number: &Eight<L>) -> Eight<L> {
        let zero = _mm512_setzero_si512();
        let (mut low, mut high) = ([zero; L], [zero; L]);
        let mut carried = zero;
        // Column by column: the products of limbs whose places add up to it. Those of different limbs are computed once and doubled. The
        // columns are written out by a macro, because with loops the compiler keeps the sums in memory, and that takes half as long again.
        macro_rules! columns {
            ($($column:literal)*) => { $( if $column < 2 * L {
                let mut lows = [carried, zero];
                let mut highs = [zero; 2];
                let first = if $column + 1 > L { $column + 1 - L } else { 0 };
                for i in first..usize::div_ceil($column, 2) {
                    let (one, other) = (number.limb(i), number.limb($column - i));
                    lows[i % 2] = _mm512_madd52lo_epu64(lows[i % 2], one, other);
                    highs[i % 2] = _mm512_madd52hi_epu64(highs[i % 2], one, other);
                }
                let sum = _mm512_add_epi64(lows[0], lows[1]);
                carried = _mm512_add_epi64(highs[0], highs[1]);
                let doubled = _mm512_add_epi64(sum, sum);
                let middle = number.limb($column / 2);
                let sum = if $column % 2 == 0 {
                    _mm512_madd52lo_epu64(doubled, middle, middle)
                } else {
                    _mm512_madd52hi_epu64(doubled, middle, middle)
                };
                if $column < L { low[$column] = sum } else { high[$column - L] = sum }
            } )* };
        }
        columns!(
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19
            20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39
            40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59
            60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79
        );
        // The last column has no products of different limbs.
        let _ = carried;
        let mut sums = low;
        for above in high {
            let multiple = sums[0];
            let prime = |j: usize| _mm512_set1_epi64(self.prime[j].cast_signed());
            let cleared = _mm512_madd52lo_epu64(sums[0], prime(0), multiple);
            let carry = _mm512_srli_epi64::<{ LIMB_BITS as u32 }>(cleared);
            for j in 1..L {
                let sum = _mm512_madd52lo_epu64(sums[j], prime(j), multiple);
                sums[j - 1] = _mm512_madd52hi_epu64(sum, prime(j - 1), multiple);
            }
            sums[0] = _mm512_add_epi64(sums[0], carry);
            sums[L - 1] = _mm512_madd52hi_epu64(above, prime(L - 1), multiple);
        }
        normalized(sums)
    }

    /// One of the numbers, which are below `2 p`, modulo `p`: big-endian, without leading zero bytes.
    fn reduced(&self, numbers: &Eight<L>, lane: usize) -> Vec<u8> {
        let mut number = [0; L];
        let mut less = [0; L];
        let mut borrow = 0;
        for (j, limb) in numbers.0.iter().enumerate() {
            number[j] = limb[lane];
            let difference = number[j].wrapping_sub(self.prime[j]).wrapping_sub(borrow);
            less[j] = difference & LIMB;
            borrow = difference >> 63;
        }
        // All ones if the number is below the prime.
        let keep = borrow.wrapping_neg();
        for (limb, less) in number.iter_mut().zip(less) {
            *limb = (*limb & keep) | (less & !keep);
        }
        let mut bytes = from_limbs(&number);
        number.zeroize();
        less.zeroize();
        let zeros = bytes.len() - strip(&bytes).len();
        bytes.drain(..zeros);
        bytes
    }
}

impl<const L: usize> Eight<L> {
    /// The same number in all lanes.
    fn all(number: &[u64; L]) -> Self {
        Self(number.map(|limb| [limb; LANES]))
    }

    fn set(&mut self, lane: usize, number: &[u64; L]) {
        for (limb, value) in self.0.iter_mut().zip(number) {
            limb[lane] = *value;
        }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn limb(&self, at: usize) -> __m512i {
        load(&self.0[at])
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load(lanes: &[u64; LANES]) -> __m512i {
    // SAFETY: there are 64 bytes to read.
    unsafe { _mm512_loadu_epi64(lanes.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn store(lanes: &mut [u64; LANES], value: __m512i) {
    // SAFETY: there are 64 bytes to write.
    unsafe { _mm512_storeu_epi64(lanes.as_mut_ptr().cast(), value) }
}

/// For each lane the entry that its digit names, found by reading all of them.
#[target_feature(enable = "avx512f")]
fn select<const L: usize>(table: &[Eight<L>; ENTRIES], digits: &[u64; LANES]) -> Eight<L> {
    let digits = load(digits);
    let mut selected = [_mm512_setzero_si512(); L];
    for (number, entry) in table.iter().enumerate() {
        let is_wanted = _mm512_cmpeq_epi64_mask(digits, _mm512_set1_epi64(number as i64));
        for (limb, lanes) in selected.iter_mut().zip(&entry.0) {
            *limb = _mm512_mask_mov_epi64(*limb, is_wanted, load(lanes));
        }
    }
    stored(selected)
}

/// The same from a table that all lanes share.
#[target_feature(enable = "avx512f")]
fn select_shared<const L: usize>(table: &[[u64; L]; comb::ENTRIES], digits: &[u64; LANES]) -> Eight<L> {
    let digits = load(digits);
    let mut selected = [_mm512_setzero_si512(); L];
    for (number, entry) in table.iter().enumerate() {
        let is_wanted = _mm512_cmpeq_epi64_mask(digits, _mm512_set1_epi64(number as i64));
        for (limb, value) in selected.iter_mut().zip(entry) {
            *limb = _mm512_mask_mov_epi64(*limb, is_wanted, _mm512_set1_epi64(value.cast_signed()));
        }
    }
    stored(selected)
}

#[target_feature(enable = "avx512f")]
fn stored<const L: usize>(limbs: [__m512i; L]) -> Eight<L> {
    let mut numbers = Eight([[0; LANES]; L]);
    for (lanes, limb) in numbers.0.iter_mut().zip(limbs) {
        store(lanes, limb);
    }
    numbers
}

/// Brings sums into limbs of 52 bits.
#[target_feature(enable = "avx512f")]
fn normalized<const L: usize>(sums: [__m512i; L]) -> Eight<L> {
    let mut number = Eight([[0; LANES]; L]);
    let mut carry = _mm512_setzero_si512();
    for (limb, sum) in number.0.iter_mut().zip(sums) {
        let sum = _mm512_add_epi64(sum, carry);
        store(limb, _mm512_and_si512(sum, _mm512_set1_epi64(LIMB.cast_signed())));
        carry = _mm512_srli_epi64::<{ LIMB_BITS as u32 }>(sum);
    }
    number
}

fn to_limbs<const L: usize>(bytes: &[u8]) -> [u64; L] {
    let mut limbs = [0; L];
    for (place, byte) in bytes.iter().rev().enumerate() {
        let (limb, shift) = (8 * place / LIMB_BITS, 8 * place % LIMB_BITS);
        let shifted = u128::from(*byte) << shift;
        if let Some(low) = limbs.get_mut(limb) {
            *low |= shifted as u64 & LIMB;
        }
        if let Some(high) = limbs.get_mut(limb + 1) {
            *high |= (shifted >> LIMB_BITS) as u64;
        }
    }
    limbs
}

fn from_limbs<const L: usize>(limbs: &[u64; L]) -> Vec<u8> {
    let mut bytes = vec![0; (L * LIMB_BITS).div_ceil(8)];
    for (place, byte) in bytes.iter_mut().rev().enumerate() {
        let (limb, shift) = (8 * place / LIMB_BITS, 8 * place % LIMB_BITS);
        let pair = u128::from(limbs[limb]) | u128::from(limbs.get(limb + 1).copied().unwrap_or_default()) << LIMB_BITS;
        *byte = (pair >> shift) as u8;
    }
    bytes
}
