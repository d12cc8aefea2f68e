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
    /// Who is connected.
    pub directory: Directory,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// What NetConnections are told.
    pub connection: Arc<ConnectionSettings>,
    /// What is limited.
    pub rates: Rates,
    /// Tells whom a limit has kept out.
    pub refusals: Refusals,
    /// Messages that have waited for longer are not sent any more.
    pub max_unsent_age: Option<Duration>,
    /// What clients connect to.
    pub applications: Arc<Applications>,
    /// The server's peer id.
    pub near_id: PeerId,
    /// All public addresses of the server.
    pub potential_near_addresses: Arc<[SocketAddr]>,
    /// Tells other servers of the peers, if there is a registry that they share.
    pub announcer: Option<Announcer>,
    /// Looks up peers that are not connected here.
    pub resolver: Resolver,
    /// What plugins, scripts and the registry reply to the workers' requests.
    pub replies: Arc<Replies>,
}

impl Services {
    /// The directory's entry of a peer has changed: other servers are told, if they are to know. `session` is one of the peer's, and has
    /// proven the peer's id or not, as all of them.
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
