//! The ids of postings, and the messages about their keys (WIRE.md §3.7).
//!
//! A member announces the key of each posting to its neighbours, on flows with the metadata `47 52 18`. A neighbour that lacks the posting asks
//! for it, and receives its value, one AMF value, on a flow with the metadata `47 52 19`. It is *not established* what Flash makes the
//! 8 bytes of the key of. Here they are the first bytes of the SHA-256 of the value. AMS gives the hexadecimal form of such a hash as the ID of a
//! posting.

use rtmfp::wire::{Malformed, take};
use sha2::{Digest, Sha256};

/// The key of a posting.
pub type Key = [u8; 8];

/// The ID of a posting. `NetGroup.post` returns it in hexadecimal, and it is the `messageID` of `NetGroup.Posting.Notify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostingId(pub [u8; 32]);

impl PostingId {
    /// The ID of the posting with this value.
    pub fn of(value: &[u8]) -> Self {
        Self(Sha256::digest(value).into())
    }

    /// The key of the posting with this ID.
    pub fn key(&self) -> Key {
        self.0.first_chunk().copied().unwrap_or_default()
    }
}

/// A message about the key of a posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyMessage {
    /// The sender has this posting.
    Have(Key),
    /// The sender wants this posting.
    Want(Key),
}

impl KeyMessage {
    /// Reads a message: one byte for its kind, and the key.
    ///
    /// # Errors
    /// If the message is of another kind or length.
    pub fn read(message: &[u8]) -> Result<Self, Malformed> {
        let mut input = message;
        let which = take::u8(&mut input)?;
        let key = input.try_into().map_err(|_| Malformed("posting key: not 8 bytes"))?;
        match which {
            0x30 => Ok(Self::Have(key)),
            0x3a => Ok(Self::Want(key)),
            _ => Err(Malformed("posting key: unknown message")),
        }
    }

    /// The message's bytes.
    pub fn write(self) -> [u8; 9] {
        let (which, key) = match self {
            Self::Have(key) => (0x30, key),
            Self::Want(key) => (0x3a, key),
        };
        let mut message = [which; 9];
        message[1..].copy_from_slice(&key);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_both_ways() {
        let key = PostingId::of(b"x").key();
        for message in [KeyMessage::Have(key), KeyMessage::Want(key)] {
            let bytes = message.write();
            assert_eq!(KeyMessage::read(&bytes), Ok(message));
            for end in 0..bytes.len() {
                assert!(KeyMessage::read(&bytes[..end]).is_err());
            }
            assert!(KeyMessage::read(&[&bytes[..], &[0]].concat()).is_err());
        }
        assert!(KeyMessage::read(&[0x31; 9]).is_err());
    }
}
