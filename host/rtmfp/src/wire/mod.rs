//! Bytes to values and back, nothing else: the structures of RFC 7016 §2.
//!
//! Readers take from the front of a `&mut &[u8]` and borrow from it; writers append to a `Vec<u8>`. Nothing here allocates
//! in proportion to a number read from the input.

pub mod address;
pub mod chunk;
pub mod option;
pub mod packet;
pub mod take;
pub mod vlu;

pub use address::{Origin, TaggedAddress};
pub use chunk::Chunk;
pub use packet::{Mode, PacketHeader};

/// Bytes that are not what they should be: what was being read when they ran out or made no sense.
///
/// RFC 7016 §2: an error circumstance aborts the element and its enclosing elements; whoever gets this drops the chunk or
/// the packet and counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {0}")]
pub struct Malformed(pub &'static str);
