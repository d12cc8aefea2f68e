//! A client of a worker.

use std::sync::Arc;
use std::time::Instant;

use introd_flash::server::{ConnectionSettings, NetConnection};
use introd_policy::AppActor;
use introd_policy::message::{ClientId, ClientStats};
use rtmfp::flow::SendFlowId;
use rtmfp::{PeerId, SessionId};
use smallvec::SmallVec;

use super::address_changes::AddressChanges;
use super::client_groups::ClientGroups;
use super::client_silence::ClientSilence;
use crate::apps::Seat;
use crate::serve::rates::ClientRate;

/// There are many of these, and most do nothing but wait: what most never need is apart.
pub(super) struct Client {
    pub(super) connection: NetConnection,
    /// The server's flows to it, by stream.
    pub(super) sending: SmallVec<[(u32, SendFlowId); 1]>,
    /// What it is connected to, and its id in the directory.
    pub(super) place: Option<(PeerId, Seat)>,
    /// When it last did something.
    pub(super) active: Instant,
    /// How often it looks others up, if that is limited.
    pub(super) lookups: Option<Box<ClientRate>>,
    /// The groups that it is in, if any.
    pub(super) groups: Option<Box<ClientGroups>>,
    /// What there is between it and its application, if that has a policy.
    pub(super) dealings: Option<Box<Dealings>>,
    pub(super) closing: Option<Box<Closing>>,
    /// How often it has changed its addresses, if it has.
    pub(super) changes: Option<Box<AddressChanges>>,
    pub(super) silence: ClientSilence,
    /// Whether it had proven that its peer id is its own when it was let in.
    pub(super) is_proven: bool,
}

/// What there is between a client and the policy of its application.
#[derive(Default)]
pub(super) struct Dealings {
    /// Calls that the application made and that are not answered: the connection's number, the application's token.
    pub(super) calls: Vec<(u64, u64)>,
    /// What has passed since it asked to connect.
    pub(super) stats: ClientStats,
}

/// A connection that ends once the client has what it is owed.
pub(super) struct Closing {
    /// The client's control flow. It is rejected last, which is how AIR notices: clients take the connection for lost then, and
    /// look at nothing that comes after.
    pub(super) control_flow: Option<u64>,
}

impl Client {
    /// A client whose session has opened its first flow.
    pub(super) fn new(settings: &Arc<ConnectionSettings>, now: Instant) -> Self {
        Self {
            connection: NetConnection::new(Arc::clone(settings)),
            sending: SmallVec::new(),
            place: None,
            active: now,
            lookups: None,
            groups: None,
            dealings: None,
            closing: None,
            changes: None,
            silence: ClientSilence::default(),
            is_proven: false,
        }
    }
}

/// A client's name among all workers: its session id says which worker has it.
pub(super) fn client_id(session: SessionId) -> ClientId {
    ClientId { worker: session.prefix(), session }
}

impl Client {
    /// The script of the client's application, if that has one and was told of the client.
    pub(super) fn script(&self) -> Option<&Arc<dyn AppActor>> {
        self.place.as_ref()?.1.instance().actor()
    }
}
