//! The messages of the control channel.

use rtmfp::PeerId;
use rtmfp::wire::option::{self, Element};
use rtmfp::wire::{Malformed, take};

use super::super::groupspec::{self, Groupspec, GroupspecError};
use super::super::{GroupDigest, member};

/// The first byte of a join (wire facts §7.1).
const JOIN: u8 = 0x01;
/// The option that holds a ready digest.
const BY_DIGEST: u64 = 0x15;
/// The option that holds the groupspec's text, as old Flash players send it.
const BY_TEXT: u64 = 0x10;
/// The first byte of a hint (wire facts §7.3).
const HINT: u8 = member::message::MEMBER;

/// The longest join that is read, in bytes.
pub const MAX_JOIN_LEN: usize = groupspec::MAX_LEN + 16;

/// A message that is no join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedJoin {
    /// Longer than [`MAX_JOIN_LEN`].
    #[error("group control message of {0} bytes, over {MAX_JOIN_LEN}")]
    TooLong(usize),
    /// Truncated, or not of the form of a join.
    #[error(transparent)]
    Bytes(#[from] Malformed),
    /// Another message than a join.
    #[error("unknown group control message {0:#04x}")]
    Message(u8),
    /// The group is named in an unknown way.
    #[error("group named by an unknown option {0:#04x}")]
    Naming(u64),
    /// The groupspec is none.
    #[error(transparent)]
    Groupspec(#[from] GroupspecError),
}

/// Which group a message joins (wire facts §7.1): `01`, then one option with the digest, or with the groupspec, of which the
/// digest is made here by the rules of its version (other servers hash any text once). What follows the option is ignored.
///
/// # Errors
/// If it joins none.
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

/// A hint that this peer is a member (wire facts §7.3). Whether AMS has another message for `addNeighbor` is not known: only
/// this one has been seen, so both mean it.
pub fn hint(about: &PeerId) -> [u8; 33] {
    let mut message = [HINT; 33];
    message[1..].copy_from_slice(&about.0);
    message
}

/// What a server says on the control channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// This peer is a member.
    Hint(PeerId),
    /// A message that means nothing here.
    Unknown(u8),
}

/// Reads what a server says.
///
/// # Errors
/// If it is empty, or a hint of another length.
pub fn read_hint(message: &[u8]) -> Result<Received, Malformed> {
    let mut input = message;
    match take::u8(&mut input)? {
        HINT => {
            let id = input.try_into().map_err(|_| Malformed("member hint: not 32 bytes"))?;
            Ok(Received::Hint(PeerId(id)))
        }
        other => Ok(Received::Unknown(other)),
    }
}
