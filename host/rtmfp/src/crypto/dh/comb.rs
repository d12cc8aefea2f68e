//! Powers of the generator from a table made once: the method of Lim and Lee (CRYPTO '94).
//!
//! The exponent's bits are laid out as [`TEETH`] rows; one table look-up multiplies in a whole column, and the rows are cut
//! into [`BLOCKS`] pieces with a table each, so that a column of every piece is done between two squarings. For 224 bits
//! that is 45 multiplications and 9 squarings where plain windows take 300 of both, with 20 kB of tables.

use crypto_bigint::modular::{ConstMontyForm, ConstMontyParams};
use crypto_bigint::{CtAssign, CtEq};

const TEETH: usize = 5;
const BLOCKS: usize = 5;
const ENTRIES: usize = 1 << TEETH;

/// The tables for powers of 2 modulo the prime `M`.
pub(super) struct Comb<M: ConstMontyParams<LIMBS>, const LIMBS: usize> {
    /// How many columns each block has.
    columns: usize,
    /// Entry `bits` of block `j` is the product of `2^(2^(row * columns * BLOCKS + j * columns))` over the rows in `bits`.
    tables: Box<[[ConstMontyForm<M, LIMBS>; ENTRIES]]>,
}

impl<M: ConstMontyParams<LIMBS>, const LIMBS: usize> Comb<M, LIMBS> {
    /// The tables for exponents of up to `bits` bits.
    pub(super) fn new(bits: u32) -> Self {
        let columns = (bits as usize).div_ceil(TEETH * BLOCKS);
        let mut power = ConstMontyForm::<M, LIMBS>::ONE;
        power += ConstMontyForm::ONE;
        // `single[row][block]`, found by going through all powers 2^(2^k) once.
        let mut single = [[ConstMontyForm::<M, LIMBS>::ONE; BLOCKS]; TEETH];
        for row in &mut single {
            for entry in row {
                *entry = power;
                for _ in 0..columns {
                    power = power.square();
                }
            }
        }
        let tables = (0..BLOCKS)
            .map(|block| {
                let mut table = [ConstMontyForm::<M, LIMBS>::ONE; ENTRIES];
                for bits in 1..ENTRIES {
                    let lowest = bits.trailing_zeros() as usize;
                    table[bits] = table[bits & (bits - 1)] * single[lowest][block];
                }
                table
            })
            .collect();
        Self { columns, tables }
    }

    /// How many bits an exponent may have.
    pub(super) fn capacity(&self) -> usize {
        self.columns * BLOCKS * TEETH
    }

    /// `2^exponent`, `exponent` being big-endian and of at most [`Self::capacity`] bits. Branches and addresses depend on its
    /// length alone.
    pub(super) fn power(&self, exponent: &[u8]) -> ConstMontyForm<M, LIMBS> {
        let bit = |index: usize| -> usize {
            let byte = exponent.len().checked_sub(1 + index / 8).and_then(|place| exponent.get(place));
            byte.map_or(0, |byte| usize::from(byte >> (index % 8) & 1))
        };
        let mut result = ConstMontyForm::<M, LIMBS>::ONE;
        for column in (0..self.columns).rev() {
            if column + 1 != self.columns {
                result = result.square();
            }
            for (block, table) in self.tables.iter().enumerate() {
                let mut bits = 0;
                for row in 0..TEETH {
                    bits |= bit((row * BLOCKS + block) * self.columns + column) << row;
                }
                result *= select(table, bits);
            }
        }
        result
    }
}

/// The entry at `wanted`, found by reading all of them.
fn select<M: ConstMontyParams<LIMBS>, const LIMBS: usize>(
    table: &[ConstMontyForm<M, LIMBS>; ENTRIES],
    wanted: usize,
) -> ConstMontyForm<M, LIMBS> {
    let mut entry = ConstMontyForm::ZERO;
    for (index, candidate) in table.iter().enumerate() {
        entry.ct_assign(candidate, (index as u64).ct_eq(&(wanted as u64)));
    }
    entry
}
