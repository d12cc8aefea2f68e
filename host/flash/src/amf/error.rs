//! What can be wrong with a message, and with a value to be written.

/// Why bytes are not the value they should be. Positions count from the start of the decoder's input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input ends inside a value.
    #[error("AMF value truncated at byte {at}")]
    Truncated {
        /// Where more bytes were needed.
        at: usize,
    },
    /// No type has this marker, or it cannot stand here.
    #[error("unknown AMF{version} type marker {marker:#04x} at byte {at}")]
    UnknownMarker {
        /// 0 or 3.
        version: u8,
        /// The byte found.
        marker: u8,
        /// Where it was.
        at: usize,
    },
    /// A type that exists but has no meaning outside a Flash runtime.
    #[error("AMF type not supported: {0}")]
    Unsupported(&'static str),
    /// A class writes itself in a form of its own, and which form is not known.
    #[error("externalizable class not supported: {0:?}")]
    Externalizable(String),
    /// A reference to something that does not exist, or to an object of another type.
    #[error("bad AMF reference at byte {at}")]
    BadReference {
        /// The position after the reference.
        at: usize,
    },
    /// A reference to an object that the reference itself is part of.
    #[error("cyclic AMF reference at byte {at}")]
    Cyclic {
        /// The position after the reference.
        at: usize,
    },
    /// More levels than [`Limits::depth`](super::Limits::depth).
    #[error("AMF value nested too deep")]
    TooDeep,
    /// More elements than [`Limits::elements`](super::Limits::elements).
    #[error("too many AMF elements")]
    TooManyElements,
    /// More bytes than [`Limits::bytes`](super::Limits::bytes).
    #[error("too many bytes in AMF values")]
    TooManyBytes,
}

/// Why a value cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Nested deeper than [`MAX_ENCODED_DEPTH`](super::MAX_ENCODED_DEPTH).
    #[error("value nested too deep for AMF")]
    TooDeep,
    /// Longer than the format's length field can say.
    #[error("{0} too long for AMF")]
    TooLong(&'static str),
    /// A type that AMF0 lacks, for an encoder that must not switch to AMF3.
    #[error("AMF0 has no type for {0}")]
    NotAmf0(&'static str),
    /// AMF3 ends a list of properties with an empty name, so that no property can have it.
    #[error("AMF3 cannot carry a property with an empty name")]
    EmptyName,
}
