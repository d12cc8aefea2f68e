//! Why there is no match.

/// The most captures of a pattern, as in Lua.
pub(super) const MAX_CAPTURES: usize = 32;

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatternError {
    /// The pattern is not one.
    #[error("malformed pattern ({0})")]
    Malformed(&'static str),
    /// The match takes more steps than it may.
    #[error("pattern too complex for this text")]
    TooComplex,
    /// The handler's time is over.
    #[error("out of time")]
    Expired,
}
