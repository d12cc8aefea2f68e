//! Why there is no match.

/// How many captures a pattern may have, as in Lua.
pub(super) const MAX_CAPTURES: usize = 32;

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatternError {
    /// The pattern has a syntax error.
    #[error("malformed pattern ({0})")]
    Malformed(&'static str),
    /// The match takes too many steps.
    #[error("pattern too complex for this text")]
    TooComplex,
    /// The handler's time is over.
    #[error("out of time")]
    Expired,
}
