//! The requests of a worker that wait for a plugin, a script or the registry.

use std::time::Instant;

use introd_policy::decision::LookupDecision;

use super::asked::AskedApplication;
use super::latencies::{AskedPolicy, Latencies};
use super::pending_connect::PendingConnect;

/// A request that waits for a reply.
#[allow(clippy::large_enum_variant, reason = "most are lookups, which a box would make slower")]
pub(super) enum PendingRequest {
    Lookup {
        decision: LookupDecision<AskedApplication>,
        /// The token by which the plugin that was asked knows the request.
        token: Option<u64>,
        /// When the lookup came.
        begun: Instant,
        /// Since when it waits.
        since: Instant,
        /// Whether it waits for the registry, and for no policy.
        is_for_registry: bool,
    },
    Connect {
        connect: PendingConnect,
        /// The token by which the plugin that was asked knows the request.
        token: Option<u64>,
        /// Since when it waits.
        since: Instant,
    },
}

impl PendingRequest {
    /// Counts how long the request has waited.
    pub(super) fn count_latency(&self, now: Instant, latencies: &Latencies) {
        let (since, application, plugin, is_for_registry) = match self {
            Self::Lookup { decision, token, since, is_for_registry, .. } => {
                (since, decision.application(), token.and_then(|_| decision.plugin()), *is_for_registry)
            }
            Self::Connect { connect, token, since } => {
                (since, connect.decision.application(), token.and_then(|_| connect.decision.plugin()), false)
            }
        };
        let policy = match plugin.and_then(|index| application.plugin(index)) {
            _ if is_for_registry => AskedPolicy::Registry,
            Some(plugin) => AskedPolicy::Plugin(plugin.library().name()),
            None => AskedPolicy::Script,
        };
        latencies.record(policy, now.saturating_duration_since(*since));
    }
}
