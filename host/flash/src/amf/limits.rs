//! How much one message may come to.

/// Bounds on what a [`Decoder`](super::Decoder) makes of one message.
///
/// They are totals for all values of the message, references resolved: what counts is what the caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many containers may stand inside each other. Decoding, comparing and dropping a value recurse this far.
    pub depth: usize,
    /// Values, keys and names of traits, counted one by one.
    pub elements: usize,
    /// Bytes of text, names, byte arrays and vectors.
    pub bytes: usize,
}

impl Default for Limits {
    /// Ample for the commands that clients send: 32 levels, 16,384 elements, 1 MiB.
    fn default() -> Self {
        Self { depth: 32, elements: 16_384, bytes: 1 << 20 }
    }
}
