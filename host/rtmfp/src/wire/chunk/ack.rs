//! Acknowledgements: the bitmap and the range form (RFC 7016 §2.3.13, §2.3.14).

use std::ops::RangeInclusive;

use super::kind;
use crate::wire::malformed::Malformed;
use crate::wire::packet::put_chunk;
use crate::wire::vlu;

/// Bytes in a block of [`Ack::buffer_blocks`] (§2.3.13).
pub const BUFFER_BLOCK: u64 = 1024;

/// In which of the two forms an acknowledgement is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckForm {
    /// One bit per sequence number after the cumulative acknowledgement.
    Bitmap,
    /// Run lengths of missing and received sequence numbers.
    Ranges,
}

/// What a flow's receiver has, and how much more it can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The flow.
    pub flow_id: u64,
    /// Free receive buffer in blocks of 1024 bytes.
    pub buffer_blocks: u64,
    /// Every sequence number up to this one is received.
    pub cumulative: u64,
    /// The form of what follows.
    pub form: AckForm,
    /// The bit field or the run lengths.
    body: &'a [u8],
}

impl<'a> Ack<'a> {
    /// Reads a payload.
    pub fn parse(form: AckForm, mut payload: &'a [u8]) -> Result<Self, Malformed> {
        let flow_id = vlu::take(&mut payload)?;
        let buffer_blocks = vlu::take(&mut payload)?;
        let cumulative = vlu::take(&mut payload)?;
        Ok(Self { flow_id, buffer_blocks, cumulative, form, body: payload })
    }

    /// The ranges received beyond the cumulative acknowledgement: ascending, not touching each other.
    pub fn ranges(&self) -> Ranges<'a> {
        match self.form {
            AckForm::Bitmap => Ranges::Bitmap { body: self.body, bit: 0, base: self.cumulative.checked_add(2) },
            AckForm::Ranges => Ranges::Runs { body: self.body, cursor: self.cumulative },
        }
    }

    /// Appends a chunk that acknowledges everything up to `cumulative` and `ranges`, in the shorter form (§2.3.13).
    ///
    /// `ranges` must ascend, lie above `cumulative + 1` and leave gaps between them; the first that does not, ends the list.
    pub fn put(
        flow_id: u64,
        buffer_blocks: u64,
        cumulative: u64,
        ranges: impl Iterator<Item = RangeInclusive<u64>> + Clone,
        out: &mut Vec<u8>,
    ) -> bool {
        let bitmap_len = ranges.clone().last().map_or(0, |last| (last.end() - cumulative - 2) / 8 + 1);
        let runs_len: usize =
            runs(cumulative, ranges.clone()).map(|(holes, got)| vlu::len(holes) + vlu::len(got)).sum();
        let form = if bitmap_len <= runs_len as u64 { AckForm::Bitmap } else { AckForm::Ranges };
        let kind = if form == AckForm::Bitmap { kind::ACK_BITMAP } else { kind::ACK_RANGES };
        put_chunk(kind, out, |out| {
            vlu::put(flow_id, out);
            vlu::put(buffer_blocks, out);
            vlu::put(cumulative, out);
            match form {
                AckForm::Bitmap => {
                    let start = out.len();
                    // At most as long as the run lengths are, so bounded by what the caller gave.
                    out.resize(start + bitmap_len as usize, 0);
                    for number in ranges.flatten() {
                        let bit = number - cumulative - 2;
                        out[start + (bit / 8) as usize] |= 1 << (bit % 8);
                    }
                }
                AckForm::Ranges => {
                    for (holes, received) in runs(cumulative, ranges) {
                        vlu::put(holes, out);
                        vlu::put(received, out);
                    }
                }
            }
        })
    }
}

/// The pairs (#holes-1, #recv-1) of the range form.
fn runs(cumulative: u64, ranges: impl Iterator<Item = RangeInclusive<u64>>) -> impl Iterator<Item = (u64, u64)> {
    ranges.scan(cumulative, |cursor, range| {
        let holes = range.start().checked_sub(*cursor)?.checked_sub(2)?;
        *cursor = *range.end();
        Some((holes, range.end() - range.start()))
    })
}

/// Iterates over the ranges of an [`Ack`].
///
/// A range that is cut off by the end of the chunk ends the iteration, as §2.3.14 asks; so does a sequence number over 64 bits.
#[derive(Clone, Debug)]
pub enum Ranges<'a> {
    /// Over a bit field.
    Bitmap {
        /// The bit field.
        body: &'a [u8],
        /// The next bit to look at.
        bit: u64,
        /// The sequence number of bit 0.
        base: Option<u64>,
    },
    /// Over run lengths.
    Runs {
        /// The run lengths not read yet.
        body: &'a [u8],
        /// The last sequence number spoken of.
        cursor: u64,
    },
}

impl Iterator for Ranges<'_> {
    type Item = RangeInclusive<u64>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Ranges::Bitmap { body, bit, base } => {
                let is_set = |bit: u64| body.get((bit / 8) as usize).map(|byte| byte >> (bit % 8) & 1 != 0);
                while !is_set(*bit)? {
                    *bit += 1;
                }
                let first = *bit;
                while is_set(*bit) == Some(true) {
                    *bit += 1;
                }
                let base = (*base)?;
                Some(base.checked_add(first)?..=base.checked_add(*bit - 1)?)
            }
            Ranges::Runs { body, cursor } => {
                let holes = vlu::take(body).ok()?;
                let received = vlu::take(body).ok()?;
                let first = cursor.checked_add(holes)?.checked_add(2)?;
                *cursor = first.checked_add(received)?;
                Some(first..=*cursor)
            }
        }
    }
}
