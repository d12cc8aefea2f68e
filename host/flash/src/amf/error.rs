//! Why a message cannot be read, and why a value cannot be written.

/// Why bytes cannot be read as a value. Positions count from the start of the decoder's input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input ends inside a value.
    #[error("AMF value truncated at byte {at}")]
    Truncated {
        /// Where more bytes were needed.
        at: usize,
    },
    /// No type has this marker, or the marker may not be here.
    #[error("unknown AMF{version} type marker {marker:#04x} at byte {at}")]
    UnknownMarker {
        /// 0 or 3.
        version: u8,
        /// The byte found.
        marker: u8,
        /// Where it was.
        at: usize,
    },
    /// The type has no meaning outside a Flash runtime.
    #[error("AMF type not supported: {0}")]
    Unsupported(&'static str),
    /// A class writes its objects in a form of its own, which is not known.
    #[error("externalizable class not supported: {0:?}")]
    Externalizable(String),
    /// A reference points to nothing, or to an object of another type.
    #[error("bad AMF reference at byte {at}")]
    BadReference {
        /// The position after the reference.
        at: usize,
    },
    /// A reference points to an object that the reference is part of.
    #[error("cyclic AMF reference at byte {at}")]
    Cyclic {
        /// The position after the reference.
        at: usize,
    },
    /// The value has more levels than [`AmfLimits::depth`](super::AmfLimits::depth).
    #[error("AMF value nested too deep")]
    TooDeep,
    /// The values have more elements than [`AmfLimits::elements`](super::AmfLimits::elements).
    #[error("too many AMF elements")]
    TooManyElements,
    /// The values have more bytes than [`AmfLimits::bytes`](super::AmfLimits::bytes).
    #[error("too many bytes in AMF values")]
    TooManyBytes,
}

/// Why a value cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The value is nested deeper than [`MAX_ENCODED_DEPTH`](super::MAX_ENCODED_DEPTH).
    #[error("value nested too deep for AMF")]
    TooDeep,
    /// The value is longer than the length field of the format allows.
    #[error("{0} too long for AMF")]
    TooLong(&'static str),
    /// AMF0 has no such type, and the encoder must not switch to AMF3.
    #[error("AMF0 has no type for {0}")]
    NotAmf0(&'static str),
    /// A property has an empty name, with which AMF3 ends a list of properties.
    #[error("AMF3 cannot carry a property with an empty name")]
    EmptyName,
}
