//! The error of all readers of this room.

/// Bytes that are not what they should be: what was being read when they ran out or made no sense.
///
/// RFC 7016 §2: an error circumstance aborts the element and its enclosing elements; the receiver drops the chunk or
/// the packet and counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {0}")]
pub struct Malformed(pub &'static str);
