//! The fragments of a receiving flow as records, and back.

use super::{Partial, Reassembly, Segment};
use crate::handover::{AssembledRecord, SegmentRecord, StateError};

impl Reassembly {
    pub(in crate::flow) fn partial_record(&self) -> Option<AssembledRecord> {
        let partial = self.partial.as_ref()?;
        Some(AssembledRecord { first: partial.first, last: partial.last, data: partial.data.clone() })
    }

    pub(in crate::flow) fn segment_records(&self) -> Vec<SegmentRecord> {
        let record = |(first, segment): (&u64, &Segment)| SegmentRecord {
            first: *first,
            last: segment.last,
            begins: segment.begins,
            ends: segment.ends,
            pieces: segment.pieces.iter().cloned().collect(),
        };
        self.segments.0.iter().flat_map(|segments| segments.iter()).map(record).collect()
    }

    pub(in crate::flow) fn expected(&self) -> u32 {
        self.expected
    }

    /// # Errors
    /// If a run of fragments ends before it begins.
    pub(in crate::flow) fn from_records(
        partial: Option<AssembledRecord>,
        segments: Vec<SegmentRecord>,
        expected: u32,
    ) -> Result<Self, StateError> {
        let mut reassembly = Self { expected, ..Self::default() };
        if let Some(AssembledRecord { first, last, data }) = partial {
            reassembly.set_partial(Partial { first, last, data });
        }
        for record in segments {
            if record.last < record.first {
                return Err(StateError::Invalid("a run of fragments"));
            }
            let segment = Segment {
                last: record.last,
                begins: record.begins,
                ends: record.ends,
                bytes: record.pieces.iter().map(Vec::len).sum(),
                pieces: record.pieces.into(),
            };
            reassembly.buffered += segment.cost();
            if reassembly.segments.get(record.first).is_some() {
                return Err(StateError::Invalid("two runs of fragments at one place"));
            }
            reassembly.segments.insert(record.first, segment);
        }
        Ok(reassembly)
    }
}
