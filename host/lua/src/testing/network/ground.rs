//! What the parts of the network of tests share: how endpoints are named, and how long things take.

use std::time::Duration;

/// Names an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct EndpointId(pub(super) u32);

/// How long everything takes.
pub(super) const LATENCY: Duration = Duration::from_millis(10);
/// After how long of silence an end counts as gone.
pub(super) const DEAD_AFTER: Duration = Duration::from_secs(30);
/// How often members announce themselves on the local network, if their groupspec asks for it.
pub(super) const ANNOUNCED_EVERY: Duration = Duration::from_secs(30);
/// How long it takes until a permanent neighbour that was not reached is tried again.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5);
