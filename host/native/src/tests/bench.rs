//! A host for plugins of this process, with a server behind it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use ::introd_plugin::abi::*;
use introd_config::XmlSettings;
use introd_flash::amf::Value;
use introd_flash::server::ConnectRequest;
use introd_flash::uri::{AppPath, Uri};
use introd_netgroup::GroupDigest;
use introd_policy::message::ClientInfo;
use introd_policy::{Peer, Replies, Reply, RequestId, Verdict};
use rtmfp::{InterfaceId, Lookup, PeerId, SessionId};

use super::fake::{Fake, creating, table};
use crate::events::{InstancePath, LookupEvent};
use crate::groups::{GroupChange, MemberChoice};
use crate::host_state::{HostState, ServerAccess};
use crate::instance::PluginInstance;
use crate::library::Library;
use crate::{LoadError, PluginAnswer};

/// A server with one peer, of id 1, and room for so many requests.
pub(crate) struct Server {
    pub(crate) room: Mutex<usize>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Server {
    fn ask(&self, what: String) -> bool {
        let mut room = self.room.lock().unwrap();
        let Some(left) = room.checked_sub(1) else { return false };
        *room = left;
        self.asked.lock().unwrap().push(what);
        true
    }
}

impl ServerAccess for Server {
    fn find(&self, peer: &PeerId) -> Option<Peer> {
        (*peer == PeerId([1; 32])).then(|| Peer {
            owner: SessionId::from_wire(11),
            instance: 0,
            observed: "192.0.2.1:1".parse().unwrap(),
            reported: (1..=3).map(|port| SocketAddr::from(([10, 0, 0, 1], port))).collect(),
            is_silent: false,
        })
    }

    fn introduce(&self, id: &PeerId, _: &Peer, initiator: SocketAddr, tag: &[u8]) -> bool {
        self.ask(format!("introduce {} {initiator} {}", id.0[0], tag.len()))
    }

    fn disconnect(&self, session: SessionId, peer: PeerId) -> bool {
        self.ask(format!("disconnect {} {}", session.get(), peer.0[0]))
    }

    fn hint(&self, session: SessionId, group: GroupDigest, about: PeerId) -> bool {
        self.ask(format!("hint {} {} {}", session.get(), group.0[0], about.0[0]))
    }
}

/// Where everything happens.
pub(crate) const PLACE: InstancePath<'static> = InstancePath { application: "app", instance: "room" };

/// A host with a server.
pub(crate) struct Bench {
    pub(crate) state: Arc<HostState>,
    pub(crate) replies: Arc<Replies>,
    pub(crate) server: Arc<Server>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let replies = Arc::new(Replies::new(1, |_| ()));
        let state = Arc::new(HostState::new(Arc::clone(&replies)));
        let server = Arc::new(Server { room: Mutex::new(100), asked: Mutex::default() });
        let access: std::sync::Weak<dyn ServerAccess> = Arc::<Server>::downgrade(&server);
        state.set_server_access(access);
        Self { state, replies, server }
    }

    /// A host whose server is gone.
    pub(crate) fn without_server() -> Self {
        let bench = Self::new();
        let gone: std::sync::Weak<dyn ServerAccess> = std::sync::Weak::<Server>::new();
        bench.state.set_server_access(gone);
        bench
    }

    /// An instance of the plugin, and what stands behind it.
    pub(crate) fn instance(&self) -> (Arc<PluginInstance>, &'static Fake) {
        let (made, fake) = self.create(table(), INTROD_OK);
        (made.unwrap(), fake)
    }

    /// As [`Self::instance`], of a plugin with that table, whose `create` returns that.
    pub(crate) fn create(
        &self,
        table: introd_plugin,
        status: i32,
    ) -> (Result<Arc<PluginInstance>, LoadError>, &'static Fake) {
        self.create_with(table, status, &[])
    }

    /// The same, with what the registry of another process has handed over.
    pub(crate) fn create_with(
        &self,
        table: introd_plugin,
        status: i32,
        handed_over: &[u8],
    ) -> (Result<Arc<PluginInstance>, LoadError>, &'static Fake) {
        let library = Library::of_table(Box::leak(Box::new(table))).unwrap();
        let (made, fakes) = creating(move |_, _| status, || self.heir_of(library, handed_over));
        (made, fakes[0])
    }

    /// An instance of a library, with a configuration.
    pub(crate) fn instance_of(&self, library: &'static Library) -> Result<Arc<PluginInstance>, LoadError> {
        self.heir_of(library, &[])
    }

    fn heir_of(&self, library: &'static Library, handed_over: &[u8]) -> Result<Arc<PluginInstance>, LoadError> {
        let text = |text: &str| XmlSettings { text: text.to_owned(), children: Vec::new() };
        let config = XmlSettings { text: String::new(), children: vec![("rate".to_owned(), text("7"))] };
        PluginInstance::create(library, &self.state, &config, Path::new("/root"), handed_over)
    }

    /// The verdicts that have come since the last time.
    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        let verdict = |(_, reply)| match reply {
            Reply::Verdict(verdict) => verdict,
            other @ Reply::Resolved(_) => panic!("{other:?}"),
        };
        self.replies.take(0).into_iter().map(verdict).collect()
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.server.asked.lock().unwrap())
    }
}

/// Asks about a lookup.
pub(crate) fn ask(instance: &PluginInstance) -> PluginAnswer {
    let lookup = Lookup {
        target: None,
        epd: Default::default(),
        initiator: "192.0.2.7:7".parse().unwrap(),
        tag: Default::default(),
        interface: InterfaceId(0),
        asker: None,
        received: 68,
    };
    let event = LookupEvent {
        lookup: &lookup,
        asker: None,
        is_local: false,
        place: PLACE,
        home: None,
        is_consent: false,
        is_asked_again: false,
        attempt: 1,
    };
    instance.lookup(RequestId::from_number(9), event)
}

/// Client 1, of peer 2, in a group with three members.
pub(crate) fn group_change(choose: &dyn Fn(MemberChoice, usize) -> Vec<(PeerId, SessionId)>) -> GroupChange<'_> {
    GroupChange {
        group: GroupDigest([1; 32]),
        session: SessionId::from_wire(1),
        peer: PeerId([2; 32]),
        place: PLACE,
        members: 3,
        choose,
    }
}

/// A client of which everything is known.
pub(crate) fn client_info() -> ClientInfo {
    let uri = "rtmfp://host/app/room?query";
    ClientInfo {
        far_id: PeerId([2; 32]),
        is_proven: true,
        near_id: PeerId([9; 32]),
        far_nonce: [3; 32],
        near_nonce: [4; 32],
        far_address: "192.0.2.1:1".parse().unwrap(),
        near_address: "192.0.2.2:2".parse().unwrap(),
        potential_near_addresses: Arc::new([]),
        request: ConnectRequest {
            path: AppPath::parse("app/room").unwrap(),
            uri: Uri::parse(uri),
            tc_url: uri.to_owned(),
            query: "query".to_owned(),
            agent: "agent".to_owned(),
            referrer: "referrer".to_owned(),
            page_url: "page".to_owned(),
            object_encoding: 0,
            object: Value::Null,
            arguments: vec![Value::Integer(1), Value::String("two".to_owned())],
        },
    }
}

/// A verdict without details.
pub(crate) fn of_kind(kind: i32) -> introd_verdict {
    let none = introd_bytes { ptr: std::ptr::null(), len: 0 };
    introd_verdict {
        struct_size: size_of::<introd_verdict>() as u32,
        kind,
        addresses: std::ptr::null(),
        address_count: 0,
        peer: std::ptr::null(),
        text: none,
        uri: none,
        members: std::ptr::null(),
        member_count: 0,
        relay_bytes_per_second: 0,
        relay_lifetime_ms: 0,
    }
}
