//! What all requests share.

use super::caller::Caller;
use super::gate::{Denied, Gate, Wish};
use super::inspector::Inspector;
use super::streams::Streams;

/// What all requests share.
pub(super) struct Rooms {
    pub(super) inspector: Inspector,
    pub(super) gate: Gate,
    pub(super) streams: Streams,
}

impl Rooms {
    /// Whether the caller may do that.
    pub(super) async fn admit(&self, caller: &Caller, wish: Wish) -> Result<(), Denied> {
        self.gate.admit(&self.inspector.services.applications.config(), caller, wish).await
    }
}
