//! Errors of the host's functions.

use std::fmt;

use crate::abi;

/// Why the host did not do what a plugin asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostError {
    /// The peer or client is not connected.
    NotFound,
    /// A queue of the host is full, or the plugin has reached a limit.
    Full,
    /// This host has no such function.
    Unsupported,
    /// An argument is invalid.
    Argument,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "the peer or client is not connected",
            Self::Full => "a queue is full or a limit is reached",
            Self::Unsupported => "this host has no such function",
            Self::Argument => "an argument is invalid",
        })
    }
}

impl std::error::Error for HostError {}

/// What a status of the host means.
pub(super) fn checked(status: i32) -> Result<(), HostError> {
    match status {
        abi::INTROD_OK => Ok(()),
        abi::INTROD_NOT_FOUND | abi::INTROD_E_GONE => Err(HostError::NotFound),
        abi::INTROD_E_FULL => Err(HostError::Full),
        abi::INTROD_E_UNSUPPORTED => Err(HostError::Unsupported),
        _ => Err(HostError::Argument),
    }
}
