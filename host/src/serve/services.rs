//! What all workers share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use introd_config::LookupMode;
use introd_flash::server::ConnectionSettings;
use introd_policy::{InstanceId, Replies};
use rtmfp::{PeerId, SessionId};

use super::announcer::{Announcer, Told};
use super::rates::Rates;
use super::refusals::Refusals;
use crate::apps::Applications;
use crate::introducer::{Counters, Directory};
use crate::registry::Resolver;

/// What all workers share.
pub struct Services {
    /// The connected peers.
    pub directory: Directory,
    /// The counters of all workers.
    pub counters: Arc<Counters>,
    /// The settings of NetConnections.
    pub connection: Arc<ConnectionSettings>,
    /// The rates that are limited.
    pub rates: Rates,
    /// Logs the addresses that exceed a limit.
    pub refusals: Refusals,
    /// Messages that have waited for longer than this are not sent any more.
    pub max_unsent_age: Option<Duration>,
    /// The applications that clients connect to.
    pub applications: Arc<Applications>,
    /// The server's peer id.
    pub near_id: PeerId,
    /// All public addresses of the server.
    pub potential_near_addresses: Arc<[SocketAddr]>,
    /// Publishes the peers for other servers, if there is a registry that they share.
    pub announcer: Option<Announcer>,
    /// Looks up peers that are not connected here.
    pub resolver: Resolver,
    /// The replies of plugins, scripts and the registry to the workers' requests.
    pub replies: Arc<Replies>,
}

impl Services {
    /// Publishes a changed entry of the directory, if other servers are to know the peer. `session` is one of the peer's, and has
    /// proven the peer's id or not, like all of its sessions.
    pub(super) fn announce(&self, peer: PeerId, session: SessionId, is_proven: bool) {
        let Some(announcer) = &self.announcer else { return };
        announcer.announce(&self.directory, peer, is_proven, self.counters.worker(session.prefix()), |peer| {
            let id = InstanceId(peer.instance);
            match self.applications.instance(id) {
                Some(instance) if matches!(instance.lookup_mode(), LookupMode::All | LookupMode::Denied) => {
                    Told::Nothing
                }
                _ if self.applications.guards().has(id) => Told::Where,
                _ => Told::All,
            }
        });
    }
}
