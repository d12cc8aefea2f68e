//! The text of a groupspec, read.

use std::fmt;
use std::str::FromStr;

use rtmfp::PeerId;
use rtmfp::wire::option::{self, Element};
use sha2::{Digest, Sha256};

use super::error::{GroupspecError, MAX_LEN};
use super::kind;
use super::multicast::MulticastAddress;
use crate::digest::GroupDigest;

/// The first characters of every groupspec.
const PREFIX: &str = "G:";

/// The version of a groupspec, which says how its digest is made (WIRE.md §1.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// The digest is the SHA-256 of the canonical text. A groupspec without a version option has this version.
    One,
    /// The digest is the SHA-256 of the SHA-256. [`GroupSpecifier`](super::GroupSpecifier) makes this version by default.
    #[default]
    Two,
}

/// One option of a groupspec.
#[allow(missing_docs, reason = "the names say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecOption<'a> {
    /// The type of the option: one of [`kind`], or another.
    pub kind: u64,
    pub value: &'a [u8],
}

/// A groupspec, as its text was given. The case of its letters counts, since the text is hashed (WIRE.md §1.4).
#[derive(Clone, PartialEq, Eq)]
pub struct Groupspec {
    text: Box<str>,
    /// The bytes that the hexadecimal digits mean.
    bytes: Box<[u8]>,
    /// How many of these bytes are the canonical part, without the empty option that ends it.
    canonical: usize,
    version: Version,
}

impl Groupspec {
    /// Reads a groupspec. Options of unknown types are kept, in their order. The empty option that ends the canonical part may be missing: a
    /// member may have sent only the text that is hashed.
    ///
    /// # Errors
    /// If the text is too long, is not `G:` and hexadecimal digits, is not a list of options, or has an unknown version.
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

    /// A groupspec made of these options, in this order, without options after the canonical part.
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

    /// The canonical text: from `G:` up to the empty option that ends the canonical part, without that option. It is hashed for the digest,
    /// and it is the key of the proofs between members (WIRE.md §1.4, §3.3).
    pub fn canonical(&self) -> &str {
        self.text.get(..PREFIX.len() + 2 * self.canonical).unwrap_or(&self.text)
    }

    /// The text after the canonical part, in hexadecimal.
    pub fn suffix(&self) -> &str {
        self.text.get(PREFIX.len() + 2 * (self.canonical + 1)..).unwrap_or_default()
    }

    /// The options of the canonical part, in their order.
    pub fn options(&self) -> impl Iterator<Item = SpecOption<'_>> {
        options(self.bytes.get(..self.canonical).unwrap_or_default())
    }

    /// The options after the canonical part, in their order, up to the first one that is malformed.
    pub fn suffix_options(&self) -> impl Iterator<Item = SpecOption<'_>> {
        options(self.bytes.get(self.canonical + 1..).unwrap_or_default())
    }

    /// The bootstrap peers, which [`GroupSpecifier::add_bootstrap_peer`](super::GroupSpecifier::add_bootstrap_peer) adds.
    pub fn bootstrap_peers(&self) -> impl Iterator<Item = PeerId> + '_ {
        let named = self.suffix_options().filter(|option| option.kind == kind::BOOTSTRAP_PEER);
        named.filter_map(|option| option.value.try_into().ok().map(PeerId))
    }

    /// The multicast addresses, which [`GroupSpecifier::add_ip_multicast_address`](super::GroupSpecifier::add_ip_multicast_address) adds.
    /// Those without a port, and those that make no sense, are left out.
    pub fn multicast_addresses(&self) -> impl Iterator<Item = MulticastAddress> + '_ {
        let named = self.suffix_options().filter(|option| option.kind == kind::IP_MULTICAST_ADDRESS);
        named.filter_map(|option| MulticastAddress::read(option.value))
    }

    /// Whether the canonical part has an option of this type.
    pub fn has(&self, kind: u64) -> bool {
        self.options().any(|option| option.kind == kind)
    }

    /// The group's name, if it has one. It should be UTF-8, but this is not checked.
    pub fn name(&self) -> Option<&[u8]> {
        self.options().find(|option| option.kind == kind::NAME).map(|option| option.value)
    }

    /// The version of the groupspec.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The group's digest (WIRE.md §1.4), which AMS's `encodeGroupspecDigest` returns.
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

/// Shows only the digest: a peer that knows the text can be a member.
impl fmt::Debug for Groupspec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Groupspec").field(&self.digest()).finish()
    }
}
