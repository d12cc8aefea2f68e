//! Powers of the generator from tables made once: the method of Lim and Lee (CRYPTO '94).
//!
//! The exponent's bits are laid out as [`TEETH`] rows; one table look-up multiplies in a whole column, and the rows are cut
//! into [`BLOCKS`] pieces with a table each, so that a column of every piece is done between two squarings. For 224 bits
//! that is 45 multiplications and 8 squarings where plain windows take 300 of both, with 20 kB of tables.

use super::montgomery::{Modulus, Number, select};

const TEETH: usize = 5;
pub(super) const BLOCKS: usize = 5;
pub(super) const ENTRIES: usize = 1 << TEETH;

/// How the bits of exponents are laid out.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// How many columns each block has.
    pub(super) columns: usize,
}

impl Layout {
    /// For exponents of up to `bits` bits.
    pub(super) fn new(bits: u32) -> Self {
        Self { columns: (bits as usize).div_ceil(TEETH * BLOCKS) }
    }

    /// How many bits an exponent may have.
    pub(super) fn capacity(self) -> usize {
        self.columns * BLOCKS * TEETH
    }

    /// The bits of a column of a block: the number of the table's entry. The exponent is big-endian.
    pub(super) fn entry(self, exponent: &[u8], block: usize, column: usize) -> u8 {
        let bit = |index: usize| {
            let byte = exponent.len().checked_sub(1 + index / 8).and_then(|place| exponent.get(place));
            byte.map_or(0, |byte| byte >> (index % 8) & 1)
        };
        (0..TEETH).fold(0, |bits, row| bits | bit((row * BLOCKS + block) * self.columns + column) << row)
    }
}

/// The tables for powers of 2 modulo a prime.
pub(super) struct Comb<const L: usize> {
    pub(super) layout: Layout,
    /// In Montgomery's form. Entry `bits` of block `j` is the product of `2^(2^(row * columns * BLOCKS + j * columns))` over the rows in `bits`.
    pub(super) tables: Box<[[Number<L>; ENTRIES]; BLOCKS]>,
}

impl<const L: usize> Comb<L> {
    /// The tables for exponents of up to `bits` bits.
    pub(super) fn new(modulus: &Modulus<L>, bits: u32) -> Self {
        let layout = Layout::new(bits);
        let mut power = modulus.number(&[2]);
        let mut tables = Box::new([[modulus.unit; ENTRIES]; BLOCKS]);
        // The entries with a single bit, found by going through all powers 2^(2^k) once.
        for row in 0..TEETH {
            for table in tables.iter_mut() {
                table[1 << row] = power;
                for _ in 0..layout.columns {
                    power = modulus.squared(&power);
                }
            }
        }
        for table in tables.iter_mut() {
            for bits in 1..ENTRIES {
                let rest = bits & (bits - 1);
                if rest != 0 {
                    table[bits] = modulus.product(&table[rest], &table[bits ^ rest]);
                }
            }
        }
        Self { layout, tables }
    }

    /// `2^exponent` in Montgomery's form, `exponent` being big-endian and of at most [`Layout::capacity`] bits. Branches and addresses depend
    /// on its length alone.
    pub(super) fn power(&self, modulus: &Modulus<L>, exponent: &[u8]) -> Number<L> {
        let mut result = modulus.unit;
        for column in (0..self.layout.columns).rev() {
            if column + 1 != self.layout.columns {
                result = modulus.squared(&result);
            }
            for (block, table) in self.tables.iter().enumerate() {
                result = modulus.product(&result, &select(table, self.layout.entry(exponent, block, column)));
            }
        }
        result
    }
}
