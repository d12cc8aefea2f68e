//! The requests of a worker that wait for a plugin, a script or the registry.

use introd_policy::decision::LookupDecision;

use super::asked::AskedApplication;
use super::pending_connect::PendingConnect;

/// A request that waits for a reply.
#[allow(clippy::large_enum_variant, reason = "most are lookups, which a box would make slower")]
pub(super) enum PendingRequest {
    Lookup {
        decision: LookupDecision<AskedApplication>,
        /// The token by which the plugin that was asked knows the request.
        token: Option<u64>,
    },
    Connect {
        connect: PendingConnect,
        /// The token by which the plugin that was asked knows the request.
        token: Option<u64>,
    },
}
