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
        elsewhere(addresses, asker, &self.services.potential_near_addresses)
    }
}
