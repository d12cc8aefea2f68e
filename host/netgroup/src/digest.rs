//! Group digests, by which servers know groups (WIRE.md §1.4).

use std::fmt;
use std::str::FromStr;

use rtmfp::PeerId;
use rtmfp::wire::Malformed;

/// The digest of a group's canonical groupspec. AMS calls it `groupspecDigest`; it is written as 64 hexadecimal digits. The
/// groupspec cannot be found from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupDigest(pub [u8; 32]);

impl fmt::Display for GroupDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A peer id is written in the same way.
        fmt::Display::fmt(&PeerId(self.0), f)
    }
}

impl fmt::Debug for GroupDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for GroupDigest {
    type Err = Malformed;

    /// Reads 64 hexadecimal digits of either case.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        text.parse().map(|PeerId(bytes)| Self(bytes)).map_err(|_| Malformed("group digest: not 64 hexadecimal digits"))
    }
}
