//! What all workers share.

use std::sync::Arc;
use std::time::Duration;

use introd_config::LookupMode;
use introd_flash::server::ConnectionSettings;
use introd_policy::{InstanceId, Replies};
use rtmfp::{PeerId, SessionId};

use super::announcer::{Announcer, Told};
use super::drain::Drain;
use super::latencies::Latencies;
use super::nat_tests::NatTests;
use super::rates::Rates;
use super::refusals::Refusals;
use crate::apps::Applications;
use crate::groups::{Memberships, SharedGroups};
use crate::introducer::{Counters, Directory};
use crate::meetings::{Meetings, VerdictCounts};
use crate::network::Network;
use crate::registry::Resolver;
use crate::relay::Relay;
use crate::stories::Stories;

/// What all workers share.
pub struct Services {
    /// The connected peers.
    pub directory: Arc<Directory>,
    /// The groups that clients are in.
    pub groups: Arc<Memberships<SessionId>>,
    /// Publishes members of groups for other servers, if there is a registry that they share and that has groups.
    pub shared_groups: Option<SharedGroups>,
    /// The counters of all workers.
    pub counters: Arc<Counters>,
    /// What came of the introductions.
    pub meetings: Meetings,
    /// What was decided about lookups, by the policy that decided.
    pub verdicts: VerdictCounts,
    /// What happened recently.
    pub stories: Stories,
    /// How long handshakes and policies take.
    pub latencies: Arc<Latencies>,
    /// The settings of NetConnections.
    pub connection: Arc<ConnectionSettings>,
    /// The rates that are limited.
    pub rates: Rates,
    /// Logs the addresses that exceed a limit.
    pub refusals: Refusals,
    /// Which clients may have packets sent that test their NATs.
    pub nat_tests: NatTests,
    /// Messages that have waited for longer than this are not sent any more.
    pub max_unsent_age: Option<Duration>,
    /// The applications that clients connect to.
    pub applications: Arc<Applications>,
    /// The server's peer id.
    pub near_id: PeerId,
    /// Where the server stands in its network.
    pub network: Arc<Network>,
    /// Publishes the peers for other servers, if there is a registry that they share.
    pub announcer: Option<Announcer>,
    /// Looks up peers that are not connected here.
    pub resolver: Resolver,
    /// Passes on what peers send each other that cannot meet, if there is a relay.
    pub relay: Option<Arc<Relay>>,
    /// Whether the server takes no new sessions, and when it stops then.
    pub drain: Arc<Drain>,
    /// The replies of plugins, scripts and the registry to the workers' requests.
    pub replies: Arc<Replies>,
}

impl Services {
    /// Publishes a changed entry of the directory, if other servers are to know the peer. `session` is one of the peer's, and has
    /// proven the peer's id or not, like all of its sessions.
    pub(super) fn announce(&self, peer: PeerId, session: SessionId, is_proven: bool) {
        let Some(announcer) = &self.announcer else { return };
        let (standing, counters) = (self.network.standing(), self.counters.worker(session.prefix()));
        announcer.announce(&self.directory, &standing, peer, is_proven, counters, |peer| {
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

#[cfg(test)]
mod tests {
    use introd_config::{Application, Config, LookupsFrom};
    use introd_policy::registry::{InMemory, Registry};

    use super::*;
    use crate::serve::testing;

    /// What other servers are told of a client of an application with these settings; then, without the instance.
    fn told(change: impl FnOnce(&mut Application)) -> [Option<Vec<String>>; 2] {
        let mut config = Config::built_in();
        change(Arc::make_mut(&mut config.default_adaptor.default_vhost.defaults));
        let registry = Arc::new(InMemory::default());
        let services = testing::services(&config, None, Some(Arc::clone(&registry) as _));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (peer, session) = (PeerId([1; 32]), SessionId::from_wire(7));
        let seat =
            services.applications.admit(0, &testing::request("rtmfp://host/app"), [192, 0, 2, 1].into()).unwrap();
        services.directory.connect(peer, session, seat.instance().id().0, ([192, 0, 2, 1], 5).into(), false);
        let mut seat = Some(seat);
        [(); 2].map(|()| {
            registry.withdraw(&peer);
            services.announce(peer, session, false);
            seat = None;
            let found = runtime.block_on(registry.lookup(peer)).unwrap();
            found.map(|addresses| addresses.iter().map(ToString::to_string).collect())
        })
    }

    #[test]
    fn other_servers_are_told_the_addresses_of_no_peer_whose_application_has_a_say() {
        let relay = || "198.51.100.1:1935 (relay)".to_owned();
        let all = Some(vec!["192.0.2.1:5 (observed)".to_owned(), relay()]);
        assert_eq!(told(|_| ()), [all.clone(), all]);
        let guarded = told(|settings| settings.lookups_from = LookupsFrom::Clients);
        assert_eq!(guarded, [Some(vec![relay()]), Some(vec![relay()])], "also when the instance is gone");
        // Where all lookups go to a script, the script publishes its clients.
        let scripted = told(|settings| settings.peer_lookup_events = LookupMode::All);
        assert_eq!(scripted, [None, Some(vec![relay()])]);
    }
}
