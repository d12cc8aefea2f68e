//! The ids of requests that wait for a reply.

use std::fmt;

/// The bits of an id that name the slot of a worker's table, and the bits that count how often the slot was used.
const SLOT_BITS: u32 = 24;
const USE_BITS: u32 = 32;
/// The maximum number of requests that wait at one worker: the lookups of some seconds, if all of them wait.
pub const MAX_REQUESTS: usize = 1 << 18;

/// Identifies a request while it waits at its worker. Afterwards the id is not valid any more, so that a late reply does not reach
/// another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(u64);

impl RequestId {
    pub(crate) fn new(worker: u8, slot: u32, uses: u32) -> Self {
        Self(u64::from(worker) << (SLOT_BITS + USE_BITS) | u64::from(uses) << SLOT_BITS | u64::from(slot))
    }

    /// The worker at which the request waits.
    pub fn worker(self) -> u8 {
        (self.0 >> (SLOT_BITS + USE_BITS)) as u8
    }

    pub(crate) fn slot(self) -> usize {
        (self.0 & ((1 << SLOT_BITS) - 1)) as usize
    }

    pub(crate) fn uses(self) -> u32 {
        (self.0 >> SLOT_BITS) as u32
    }

    /// The id as a number, for tables and for scripts.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The id for a number from [`Self::get`]. Any other number identifies no request.
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_keeps_its_parts_and_is_a_number() {
        let id = RequestId::new(200, (1 << SLOT_BITS) - 1, u32::MAX);
        assert_eq!((id.worker(), id.slot(), id.uses()), (200, (1 << SLOT_BITS) - 1, u32::MAX));
        assert_eq!(RequestId::from_number(id.get()), id);
        assert_eq!(RequestId::new(0, 5, 1).get(), 1 << SLOT_BITS | 5);
    }
}
