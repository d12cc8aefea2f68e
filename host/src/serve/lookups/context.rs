//! What decisions about lookups consult: the directory, the applications, the access rules.

use std::net::{IpAddr, SocketAddr};

use introd_policy::decision::{Guard, LookupContext};
use introd_policy::{Addresses, InstanceId, Peer};
use rtmfp::{PeerId, SessionId, TaggedAddress};

use crate::introducer::elsewhere;
use crate::serve::asked::AskedApplication;
use crate::serve::clients::Clients;
use crate::serve::services::Services;

pub(super) struct Context<'a> {
    pub(super) services: &'a Services,
    pub(super) clients: &'a Clients,
}

impl LookupContext for Context<'_> {
    type Application = AskedApplication;

    fn peer(&self, id: &PeerId) -> Option<Peer> {
        self.services.directory.lookup(id)
    }

    fn instance_of(&self, id: &PeerId) -> Option<u16> {
        self.services.directory.instance_of(id)
    }

    fn guard(&self, peer: &Peer) -> Guard<AskedApplication> {
        if !self.is_guarded(peer) {
            return Guard::Open;
        }
        match self.services.applications.instance(InstanceId(peer.instance)) {
            Some(instance) => Guard::Guarded(AskedApplication::of(&instance, 0)),
            None => Guard::Gone,
        }
    }

    fn is_guarded(&self, peer: &Peer) -> bool {
        self.services.applications.guards().has(InstanceId(peer.instance))
    }

    fn application_of(&self, session: SessionId) -> Option<AskedApplication> {
        Some(AskedApplication::of(self.clients.instance(session)?, 0))
    }

    fn bars(&self, application: &AskedApplication, address: IpAddr, is_client: bool) -> bool {
        match application.instance() {
            Some(instance) => instance.bars(address, is_client),
            None => self.services.applications.bars_strangers(application.adaptor, address),
        }
    }

    fn shares_registry(&self) -> bool {
        self.services.announcer.is_some()
    }

    fn elsewhere(&self, addresses: &[TaggedAddress], asker: SocketAddr) -> Addresses {
        let standing = self.services.network.standing();
        elsewhere(addresses, asker, &standing.near_addresses, &standing.site)
    }
}

#[cfg(test)]
mod tests {
    use introd_config::{Access, Config, LookupsFrom};
    use introd_policy::registry::InMemory;
    use rtmfp::Origin;
    use smallvec::SmallVec;

    use super::*;
    use crate::serve::testing;
    use crate::serve::turn::WorkerInfo;

    fn world(config: &Config, shares: bool) -> (WorkerInfo, Clients) {
        let shared = shares.then(|| std::sync::Arc::new(InMemory::default()) as _);
        let (info, _mailbox) = testing::worker(testing::services(config, None, shared), 1);
        let clients = Clients::new(&info, std::time::Instant::now());
        (info, clients)
    }

    fn peer(instance: u16) -> Peer {
        let observed = ([192, 0, 2, 1], 5).into();
        Peer { owner: SessionId::from_wire(7), instance, observed, reported: SmallVec::new(), is_silent: false }
    }

    #[test]
    fn lookups_of_no_instance_meet_the_rules_of_the_adaptor_that_they_came_through() {
        let mut config = Config::built_in();
        config.adaptors.push(introd_config::Adaptor {
            name: "other".into(),
            access: Access::deny_all(),
            ..config.default_adaptor.clone()
        });
        let (info, clients) = world(&config, false);
        let context = Context { services: &info.services, clients: &clients };
        let bars = |adaptor| {
            let application = AskedApplication::default_of(&info.services.applications, adaptor);
            context.bars(&application, [192, 0, 2, 1].into(), false)
        };
        assert_eq!([bars(0), bars(1)], [false, true]);
        config.default_adaptor.default_vhost.access = Access::deny_all();
        info.services.applications.reconfigure(config.clone());
        assert_eq!([bars(0), bars(1)], [true, true]);
        config.default_adaptor.default_vhost.access = Access::everyone();
        std::sync::Arc::make_mut(&mut config.default_adaptor.default_vhost.defaults).lookups_from =
            LookupsFrom::Clients;
        info.services.applications.reconfigure(config);
        assert!(bars(0), "strangers are answered nothing");
    }

    #[test]
    fn a_peer_without_an_instance_that_has_a_say_is_open() {
        let (info, clients) = world(&Config::built_in(), false);
        let context = Context { services: &info.services, clients: &clients };
        assert!(!context.is_guarded(&peer(3)) && matches!(context.guard(&peer(3)), Guard::Open));
        assert!(!context.shares_registry() && context.application_of(SessionId::from_wire(1)).is_none());
        let (info, clients) = world(&Config::built_in(), true);
        assert!(Context { services: &info.services, clients: &clients }.shares_registry());
    }

    #[test]
    fn no_asker_is_sent_to_this_server_by_what_a_registry_says() {
        let (info, clients) = world(&Config::built_in(), true);
        let context = Context { services: &info.services, clients: &clients };
        let elsewhere = |relay: &str| {
            let relay = TaggedAddress::new(relay.parse().unwrap(), Origin::Relay);
            context.elsewhere(&[relay], ([203, 0, 113, 1], 5).into()).len()
        };
        assert_eq!((elsewhere("198.51.100.1:1935"), elsewhere("198.51.100.2:1935")), (0, 1));
    }
}
