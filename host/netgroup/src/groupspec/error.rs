//! What can be wrong with a groupspec.

use super::MAX_LEN;

/// A text that is no groupspec, or properties of which none can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupspecError {
    /// Longer than [`MAX_LEN`].
    #[error("groupspec of {0} characters, over {MAX_LEN}")]
    TooLong(usize),
    /// It does not begin with `G:`.
    #[error("groupspec does not begin with \"G:\"")]
    Prefix,
    /// After `G:` stands something else than pairs of hexadecimal digits.
    #[error("groupspec is not hexadecimal")]
    Hexadecimal,
    /// The bytes are not a list of options.
    #[error("groupspec is not a list of options")]
    Options,
    /// The version is neither 1 nor 2, or given twice.
    #[error("groupspec of an unknown version")]
    Version,
    /// There is nothing in it.
    #[error("groupspec without options")]
    Empty,
    /// A group must have a name.
    #[error("group without a name")]
    NoName,
    /// An address that is none, or is no multicast address.
    #[error("not an IP multicast address with a port")]
    MulticastAddress,
}
