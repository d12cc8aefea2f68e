//! Failures that several steps of a probe have in common.

use introd_client::{ClientFailure, ClientStep};

/// What to check when the connection to the server ends.
pub(super) const STAY_CHECK: &str = "whether the server was stopped, and its log";

/// An error of this machine: no socket, no randomness.
pub(super) fn local_failure(error: impl std::fmt::Display) -> ClientFailure {
    ClientFailure::new(ClientStep::Resolve, error.to_string(), "this machine's network and limits")
}
