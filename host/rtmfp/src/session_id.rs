//! Session ids: 6 bits of prefix (which endpoint of several behind one port), 4 bits of generation, 22 bits of slot.
//!
//! An id is not a hash key but a place: a datagram finds its session with one array access, and that it is another endpoint's is
//! known by its id alone.

use std::fmt;

/// A session's receive session id: what the far end puts on the packets that it sends to this end (RFC 7016 §2.2.2). Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub(crate) u32);

pub(crate) const SLOT_BITS: u32 = 22;
pub(crate) const GENERATION_BITS: u32 = 4;
pub(crate) const PREFIX_SHIFT: u32 = SLOT_BITS + GENERATION_BITS;
pub(crate) const MAX_GENERATION: u8 = (1 << GENERATION_BITS) - 1;
/// The most sessions that one endpoint can hold: 4,194,304.
pub const MAX_SLOTS: usize = 1 << SLOT_BITS;
/// The most endpoints that can share a port: prefixes are below this.
pub const MAX_PREFIXES: u8 = 1 << (32 - PREFIX_SHIFT);
impl SessionId {
    /// The id whose wire form is `id`. One that names no session does no harm anywhere.
    pub fn from_wire(id: u32) -> Self {
        Self(id)
    }

    /// The id as it stands on the wire.
    pub fn get(self) -> u32 {
        self.0
    }

    /// Which endpoint of several behind one port gave out this id: [`Config::session_prefix`](crate::Config::session_prefix).
    pub fn prefix(self) -> u8 {
        prefix_of(self.0)
    }

    /// The place of the session in its endpoint's table, below [`MAX_SLOTS`]. Sessions of one place follow each other.
    pub fn slot(self) -> usize {
        (self.0 & ((1 << SLOT_BITS) - 1)) as usize
    }

    #[cfg(test)]
    pub(crate) fn generation(self) -> u8 {
        (self.0 >> SLOT_BITS) as u8 & MAX_GENERATION
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// The prefix of a session id read from a datagram.
pub fn prefix_of(session_id: u32) -> u8 {
    (session_id >> PREFIX_SHIFT) as u8
}
