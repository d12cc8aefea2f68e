//! Why a groupspec is refused.

/// The longest groupspec that is read, in characters. Names, passwords, addresses and peers fit in it many times over.
pub const MAX_LEN: usize = 16 * 1024;

/// Why a text is not a groupspec, or why no groupspec can be made of some properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupspecError {
    /// The text is longer than [`MAX_LEN`].
    #[error("groupspec of {0} characters, over {MAX_LEN}")]
    TooLong(usize),
    /// The text does not begin with `G:`.
    #[error("groupspec does not begin with \"G:\"")]
    Prefix,
    /// The text after `G:` is not pairs of hexadecimal digits.
    #[error("groupspec is not hexadecimal")]
    Hexadecimal,
    /// The bytes are not a list of options.
    #[error("groupspec is not a list of options")]
    Options,
    /// The version is neither 1 nor 2, or it is given twice.
    #[error("groupspec of an unknown version")]
    Version,
    /// The canonical part has no options.
    #[error("groupspec without options")]
    Empty,
    /// The group has no name.
    #[error("group without a name")]
    NoName,
    /// The address is not a multicast address, or its source is of the other family.
    #[error("not an IP multicast address with a port")]
    MulticastAddress,
}
