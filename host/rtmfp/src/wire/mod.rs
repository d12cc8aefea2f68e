//! The structures of RFC 7016 §2: bytes to values and back, and nothing else.
//!
//! Readers take from the front of a `&mut &[u8]` and borrow from it; writers append to a `Vec<u8>`. Nothing here allocates
//! in proportion to a number read from the input.

pub mod address;
pub mod chunk;
mod malformed;
pub mod option;
pub mod packet;
pub mod take;
pub mod vlu;

pub use address::{Origin, TaggedAddress};
pub use chunk::Chunk;
pub use malformed::Malformed;
pub use packet::{Mode, PacketHeader};
