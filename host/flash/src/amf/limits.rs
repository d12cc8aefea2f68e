//! Limits on the values of one message.

/// Limits on the values that a [`Decoder`](super::Decoder) makes of one message.
///
/// They are totals for all values of the message. A value that a reference points to counts again for each reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmfLimits {
    /// How many containers may be nested. Decoding, comparing and dropping a value recurse this far.
    pub depth: usize,
    /// How many values, keys and names of traits there may be.
    pub elements: usize,
    /// How many bytes of text, names, byte arrays and vectors there may be.
    pub bytes: usize,
}

impl Default for AmfLimits {
    /// 32 levels, 16,384 elements and 1 MiB, which is ample for the commands that clients send.
    fn default() -> Self {
        Self { depth: 32, elements: 16_384, bytes: 1 << 20 }
    }
}
