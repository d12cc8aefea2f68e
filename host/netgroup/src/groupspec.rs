//! Groupspecs: the text that names a group, and that proves to the others that one may be in it (wire facts §7.2, §9).
//!
//! `G:` and a list of options in hexadecimal (length, type, value; RFC 7016 §2.1.3), ended by an empty option. What stands
//! before the end is the canonical part: it is the group's identity. What follows is not: authorizations, peers to begin with,
//! multicast addresses.

mod error;
pub mod kind;
mod password;
mod specifier;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use rtmfp::PeerId;
use rtmfp::wire::option::{self, Element};
use sha2::{Digest, Sha256};

pub use self::error::GroupspecError;
pub use self::password::Password;
pub use self::specifier::GroupSpecifier;
use super::GroupDigest;

/// The longest groupspec understood, in characters. A name and all passwords, addresses and peers that anybody needs fit well.
pub const MAX_LEN: usize = 16 * 1024;

/// What every groupspec begins with.
const PREFIX: &str = "G:";

/// How the digest is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// SHA-256 of the canonical text. A groupspec without a version option is of this one.
    One,
    /// SHA-256 twice. The default of a [`GroupSpecifier`].
    #[default]
    Two,
}

/// One option of a groupspec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecOption<'a> {
    /// Its type: one of [`kind`], or any other.
    pub kind: u64,
    /// Its value.
    pub value: &'a [u8],
}

/// A groupspec, as its text was given: the letters' case counts, since the text is what is hashed (wire facts §7.2).
#[derive(Clone, PartialEq, Eq)]
pub struct Groupspec {
    text: Box<str>,
    /// The bytes that the digits stand for.
    bytes: Box<[u8]>,
    /// How many of them are the canonical part, without the empty option that ends it.
    canonical: usize,
    version: Version,
}

impl Groupspec {
    /// Reads a groupspec. Options that mean nothing to this program are kept, in their order. The end of the canonical part may
    /// be missing: a member may have sent only what is hashed.
    ///
    /// # Errors
    /// If the text is too long, is not `G:` and hexadecimal, is not a list of options, or is of a version whose digest is
    /// not known.
    pub fn parse(text: &str) -> Result<Self, GroupspecError> {
        if text.len() > MAX_LEN {
            return Err(GroupspecError::TooLong(text.len()));
        }
        let digits = text.strip_prefix(PREFIX).ok_or(GroupspecError::Prefix)?;
        let bytes = hex::decode(digits).map_err(|_| GroupspecError::Hexadecimal)?;
        let (mut rest, mut version, mut canonical) = (&bytes[..], None, bytes.len());
        while !rest.is_empty() {
            let before = rest.len();
            match option::take(&mut rest).map_err(|_| GroupspecError::Options)? {
                Element::Marker => {
                    canonical = bytes.len() - before;
                    break;
                }
                Element::Option { kind: kind::VERSION, value } => {
                    let read = match value {
                        [1] => Version::One,
                        [2] => Version::Two,
                        _ => return Err(GroupspecError::Version),
                    };
                    if version.replace(read).is_some() {
                        return Err(GroupspecError::Version);
                    }
                }
                Element::Option { .. } => {}
            }
        }
        if canonical == 0 {
            return Err(GroupspecError::Empty);
        }
        Ok(Self { text: text.into(), canonical, version: version.unwrap_or(Version::One), bytes: bytes.into() })
    }

    /// A groupspec made of these options, in this order, with nothing after the canonical part.
    ///
    /// # Errors
    /// As [`Groupspec::parse`].
    pub fn from_options<'a>(options: impl IntoIterator<Item = SpecOption<'a>>) -> Result<Self, GroupspecError> {
        let mut bytes = Vec::new();
        for SpecOption { kind, value } in options {
            option::put(kind, value, &mut bytes);
        }
        option::put_marker(&mut bytes);
        Self::parse(&format!("{PREFIX}{}", hex::encode(bytes)))
    }

    /// The whole text, as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The canonical text: from `G:` up to the empty option that ends it, without that. It is what is hashed, and the key of
    /// the proofs between members (wire facts §7.2, §8.2).
    pub fn canonical(&self) -> &str {
        self.text.get(..PREFIX.len() + 2 * self.canonical).unwrap_or(&self.text)
    }

    /// What follows the canonical part, in hexadecimal.
    pub fn suffix(&self) -> &str {
        self.text.get(PREFIX.len() + 2 * (self.canonical + 1)..).unwrap_or_default()
    }

    /// The options of the canonical part, in their order.
    pub fn options(&self) -> impl Iterator<Item = SpecOption<'_>> {
        options(self.bytes.get(..self.canonical).unwrap_or_default())
    }

    /// The options after the canonical part, in their order, up to the first that makes no sense.
    pub fn suffix_options(&self) -> impl Iterator<Item = SpecOption<'_>> {
        options(self.bytes.get(self.canonical + 1..).unwrap_or_default())
    }

    /// The members to begin with, as [`GroupSpecifier::add_bootstrap_peer`] names them.
    pub fn bootstrap_peers(&self) -> impl Iterator<Item = PeerId> + '_ {
        let named = self.suffix_options().filter(|option| option.kind == kind::BOOTSTRAP_PEER);
        named.filter_map(|option| option.value.try_into().ok().map(PeerId))
    }

    /// Whether the canonical part has an option of this type.
    pub fn has(&self, kind: u64) -> bool {
        self.options().any(|option| option.kind == kind)
    }

    /// The group's name, if it has one: UTF-8, but not checked to be.
    pub fn name(&self) -> Option<&[u8]> {
        self.options().find(|option| option.kind == kind::NAME).map(|option| option.value)
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The group's digest (wire facts §7.2): what AMS's `encodeGroupspecDigest` returns.
    pub fn digest(&self) -> GroupDigest {
        let once = Sha256::digest(self.canonical());
        GroupDigest(match self.version {
            Version::One => once.into(),
            Version::Two => Sha256::digest(once).into(),
        })
    }
}

/// The options in `bytes`, without markers.
fn options(bytes: &[u8]) -> impl Iterator<Item = SpecOption<'_>> {
    option::elements(bytes).map_while(Result::ok).filter_map(|element| match element {
        Element::Option { kind, value } => Some(SpecOption { kind, value }),
        Element::Marker => None,
    })
}

impl FromStr for Groupspec {
    type Err = GroupspecError;

    fn from_str(text: &str) -> Result<Self, GroupspecError> {
        Self::parse(text)
    }
}

/// Only the digest: whoever knows the text can be a member.
impl fmt::Debug for Groupspec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Groupspec").field(&self.digest()).finish()
    }
}
