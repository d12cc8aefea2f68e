//! Postings: messages to all members (wire facts §8.6).
//!
//! A member announces to its neighbours the key of each posting that it has, on flows with the metadata `47 52 18`. A neighbour
//! that lacks it asks for it, and gets its value, one AMF value, on a flow with the metadata `47 52 19`. *Not established*: what
//! the 8 bytes of the key are. Here they are the first of the SHA-256 of the value, whose hexadecimal form AMS gives as the id of
//! a posting.

use rtmfp::wire::{Malformed, take};
use sha2::{Digest, Sha256};

/// The key of a posting.
pub type Key = [u8; 8];

/// The id of a posting: what `NetGroup.post` returns and `NetGroup.Posting.Notify` tells as `messageID`, in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostingId(pub [u8; 32]);

impl PostingId {
    /// The id of a value.
    pub fn of(value: &[u8]) -> Self {
        Self(Sha256::digest(value).into())
    }

    /// Its key.
    pub fn key(&self) -> Key {
        self.0.first_chunk().copied().unwrap_or_default()
    }
}

/// A message about keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyMessage {
    /// The sender has this posting.
    Have(Key),
    /// The sender wants this posting.
    Want(Key),
}

impl KeyMessage {
    /// Reads a message: one byte that tells which, and the key.
    ///
    /// # Errors
    /// If it is neither, or of another length.
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
