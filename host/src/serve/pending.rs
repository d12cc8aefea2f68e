//! What waits at a worker for a plugin, a script or the registry.

use introd_policy::decision::LookupDecision;

use super::asked::AskedApplication;
use super::pending_connect::PendingConnect;

/// A request that waits for a reply.
#[allow(clippy::large_enum_variant, reason = "most are lookups, which a box would make slower")]
pub(super) enum PendingRequest {
    Lookup {
        decision: LookupDecision<AskedApplication>,
        /// What the plugin that was asked knows the request by.
        token: Option<u64>,
    },
    Connect {
        connect: PendingConnect,
        /// The same.
        token: Option<u64>,
    },
}
