//! What the scripts of a server reach besides its clients.

use std::sync::Arc;

use introd_policy::PeerIds;
use introd_policy::http::{HttpRequests, NoHttpRequests};
use introd_policy::net_connection::{NetConnections, NoNetConnections};
use introd_policy::registry::{InMemory, Registry};

/// What the scripts of a server reach besides its clients.
#[derive(Clone)]
pub struct Surroundings {
    /// `registry`: they share it.
    pub registry: Arc<dyn Registry>,
    /// Knows which of several clients with one peer ID has it. Without it, that is the one that came last.
    pub peer_ids: Option<Arc<dyn PeerIds>>,
    /// Opens their NetConnections.
    pub connections: Arc<dyn NetConnections>,
    /// Sends their HTTP requests.
    pub http: Arc<dyn HttpRequests>,
}

impl Default for Surroundings {
    /// A registry of its own, and nothing else.
    fn default() -> Self {
        Self {
            registry: Arc::new(InMemory::default()),
            peer_ids: None,
            connections: Arc::new(NoNetConnections),
            http: Arc::new(NoHttpRequests),
        }
    }
}
