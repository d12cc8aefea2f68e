//! The messages of the control channel.

use rtmfp::PeerId;
use rtmfp::wire::option::{self, Element};
use rtmfp::wire::{Malformed, take};

use crate::digest::GroupDigest;
use crate::groupspec::{self, Groupspec, GroupspecError};

/// The first byte of a join (WIRE.md §2.1).
const JOIN: u8 = 0x01;
/// The option that holds the digest of the group.
const BY_DIGEST: u64 = 0x15;
/// The option that holds the text of the groupspec, as old Flash Players send it.
const BY_TEXT: u64 = 0x10;
/// The first byte of a message that names a member: a hint (WIRE.md §2.2), and the same message between members.
pub(crate) const MEMBER: u8 = 0x0b;

/// The longest join that is read, in bytes.
pub const MAX_JOIN_LEN: usize = groupspec::MAX_LEN + 16;

/// Why a message is not a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedJoin {
    /// It is longer than [`MAX_JOIN_LEN`].
    #[error("group control message of {0} bytes, over {MAX_JOIN_LEN}")]
    TooLong(usize),
    /// It is truncated, or not of the form of a join.
    #[error(transparent)]
    Bytes(#[from] Malformed),
    /// Its first byte is not that of a join.
    #[error("unknown group control message {0:#04x}")]
    Message(u8),
    /// It names the group by an option of unknown type.
    #[error("group named by an unknown option {0:#04x}")]
    Naming(u64),
    /// The text in it is not a groupspec.
    #[error(transparent)]
    Groupspec(#[from] GroupspecError),
}

/// Reads a join, and returns the digest of its group (WIRE.md §2.1). If the join has the text of the groupspec, the digest is made by
/// the rules of its version; other servers hash any text once. Bytes after the option are ignored.
///
/// # Errors
/// If the message is not a join.
pub fn read_join(message: &[u8]) -> Result<GroupDigest, MalformedJoin> {
    if message.len() > MAX_JOIN_LEN {
        return Err(MalformedJoin::TooLong(message.len()));
    }
    let mut input = message;
    match take::u8(&mut input)? {
        JOIN => {}
        other => return Err(MalformedJoin::Message(other)),
    }
    match option::take(&mut input)? {
        Element::Option { kind: BY_DIGEST, value } => {
            let digest = value.try_into().map_err(|_| Malformed("group join: a digest has 32 bytes"))?;
            Ok(GroupDigest(digest))
        }
        Element::Option { kind: BY_TEXT, value } => {
            let text = std::str::from_utf8(value).map_err(|_| GroupspecError::Hexadecimal)?;
            Ok(Groupspec::parse(text)?.digest())
        }
        Element::Option { kind, .. } => Err(MalformedJoin::Naming(kind)),
        Element::Marker => Err(Malformed("group join: no group").into()),
    }
}

/// A join by digest.
pub fn join(group: &GroupDigest) -> Vec<u8> {
    let mut message = vec![JOIN];
    option::put(BY_DIGEST, &group.0, &mut message);
    message
}

/// A join by the canonical text, as old Flash players send it.
pub fn join_by_text(group: &Groupspec) -> Vec<u8> {
    let mut message = vec![JOIN];
    option::put(BY_TEXT, group.canonical().as_bytes(), &mut message);
    message
}

/// A hint that this peer is a member (WIRE.md §2.2). It is not known whether AMS has another message for `addNeighbor`: `addNeighbor`
/// and `addMemberHint` both send this one.
pub fn hint(about: &PeerId) -> [u8; 33] {
    let mut message = [MEMBER; 33];
    message[1..].copy_from_slice(&about.0);
    message
}

/// A message of a server on the control channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// The peer is a member.
    Hint(PeerId),
    /// The message has this first byte, which is not known.
    Unknown(u8),
}

/// Reads a message of a server.
///
/// # Errors
/// If the message is empty, or a hint that has not 33 bytes.
pub fn read_hint(message: &[u8]) -> Result<Received, Malformed> {
    let mut input = message;
    match take::u8(&mut input)? {
        MEMBER => {
            let id = input.try_into().map_err(|_| Malformed("member hint: not 32 bytes"))?;
            Ok(Received::Hint(PeerId(id)))
        }
        other => Ok(Received::Unknown(other)),
    }
}
