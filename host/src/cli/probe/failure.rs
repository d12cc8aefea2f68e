//! What the steps of a probe share when they fail.

use introd_client::{ClientFailure, ClientStep};

/// What the user can check if the connection ends.
pub(super) const STAY_CHECK: &str = "whether the server was stopped, and its log";

/// A failure of this machine: it has too few resources.
pub(super) fn local_failure(error: impl std::fmt::Display) -> ClientFailure {
    ClientFailure::new(ClientStep::Resolve, error.to_string(), "this machine's network and limits")
}
