//! The data that decisions consult while they are made.

use std::net::{IpAddr, SocketAddr};

use introd_config::{LookupMode, Policy};
use rtmfp::{PeerId, SessionId, TaggedAddress};

use crate::{Addresses, InstanceId, Peer};

/// An application instance whose policies are asked, or the default application where there is no instance of it.
pub trait DecidingApplication: Clone {
    /// The instance; `None` for the default application without one.
    fn instance(&self) -> Option<InstanceId>;

    /// How many native plugins are asked, in their order.
    fn plugins(&self) -> usize;

    /// Whether it has a script.
    fn has_script(&self) -> bool;

    /// Which lookups go to the script.
    fn lookup_mode(&self) -> LookupMode;

    /// The deadline of a policy and the fallbacks for a missing verdict, by the settings at this moment.
    fn policy(&self) -> Policy;
}

/// Whether the application of a peer has a say in introductions to the peer.
#[derive(Clone, Debug)]
pub enum Guard<A> {
    /// The application has no say, because it has no policy of its own.
    Open,
    /// The application must agree.
    Guarded(A),
    /// The application had a say, and its instance has ended with its last client.
    Gone,
}

/// The data for a lookup's decision: the directory, the applications and the access rules, as they are at this moment.
pub trait LookupContext {
    /// An application whose policies are asked.
    type Application: DecidingApplication;

    /// The peer with that id, if it is connected to this server.
    fn peer(&self, id: &PeerId) -> Option<Peer>;

    /// Whether the application of a peer has a say.
    fn guard(&self, peer: &Peer) -> Guard<Self::Application>;

    /// The number of the application instance that [`Self::peer`] would tell, without the rest.
    fn instance_of(&self, id: &PeerId) -> Option<u16> {
        self.peer(id).map(|peer| peer.instance)
    }

    /// Whether the application of a peer has a say. This is [`Self::guard`] at the cost of one read of memory.
    fn is_guarded(&self, peer: &Peer) -> bool;

    /// The application that a session's client is connected to.
    fn application_of(&self, session: SessionId) -> Option<Self::Application>;

    /// Whether an application refuses lookups from an address whatever its policies would say: by the access rules, or because only
    /// clients of this server may ask.
    fn bars(&self, application: &Self::Application, address: IpAddr, is_client: bool) -> bool;

    /// Whether several servers share a registry: a peer that is silent here may be at another server.
    fn shares_registry(&self) -> bool;

    /// The addresses from a registry to which an asker can be redirected: other servers and their peers, not this server.
    fn elsewhere(&self, addresses: &[TaggedAddress], asker: SocketAddr) -> Addresses;
}
