//! The far end of a session with the worker.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_flash::amf::AmfLimits;
use introd_flash::client::{self, Incoming, Status};
use introd_flash::metadata::FlowKind;
use introd_netgroup::channel::{Received, read_hint};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use rtmfp::crypto::{Epd, Group, Identity};
use rtmfp::flow::{Delivery, FlowEvent, FlowOptions, RecvFlowId, SendFlowId};
use rtmfp::{CloseReason, Config, Endpoint, Event, InterfaceId, PeerId, SessionId};

/// A far end. It sends nothing by itself but what the protocol demands, and answers pings.
pub(in crate::serve) struct FarEnd {
    pub(in crate::serve) endpoint: Endpoint,
    pub(in crate::serve) id: PeerId,
    /// Where its datagrams come from.
    pub(in crate::serve) address: SocketAddr,
    /// Nothing that it sends arrives, and it receives nothing.
    pub(in crate::serve) is_cut_off: bool,
    /// Its own session with the worker.
    pub(in crate::serve) session: Option<SessionId>,
    pub(in crate::serve) control: Option<SendFlowId>,
    /// The server's control flow.
    near_control: Option<RecvFlowId>,
    kinds: HashMap<RecvFlowId, FlowKind>,
    /// The flow of its own to which each flow of the server is in return.
    pub(in crate::serve) returns: HashMap<RecvFlowId, SendFlowId>,
    /// The messages that it has received.
    pub(in crate::serve) heard: Vec<Incoming>,
    /// The members that hints named.
    pub(in crate::serve) hints: Vec<PeerId>,
    /// The flows of its own that the server has rejected.
    pub(in crate::serve) rejected: Vec<SendFlowId>,
    /// How its session with the worker has ended.
    pub(in crate::serve) closed: Option<CloseReason>,
    /// The peers with which a session has opened.
    pub(in crate::serve) met: Vec<PeerId>,
}

/// An identity that many may show, or one whose id is proven.
pub(super) fn identity(number: u8, is_proven: bool) -> Arc<Identity> {
    let mut rng = ChaCha20Rng::seed_from_u64(number.into());
    Arc::new(if is_proven {
        Identity::fixed(&[Group::Modp2], &mut rng)
    } else {
        Identity::ephemeral(&[Group::Modp2], None, false, &mut rng)
    })
}

impl FarEnd {
    pub(super) fn new(now: Instant, number: u8, identity: Arc<Identity>) -> Self {
        let id = identity.peer_id();
        let hours = Duration::from_secs(3600);
        let config = Config { keepalive: 10 * hours, silence_limit: 20 * hours, ..Config::peer(identity) };
        Self {
            endpoint: Endpoint::new(now, config, [number; 32]),
            id,
            address: ([203, 0, 113, number], 5000 + u16::from(number)).into(),
            is_cut_off: false,
            session: None,
            control: None,
            near_control: None,
            kinds: HashMap::new(),
            returns: HashMap::new(),
            heard: Vec::new(),
            hints: Vec::new(),
            rejected: Vec::new(),
            closed: None,
            met: Vec::new(),
        }
    }

    /// Begins to open a session with the server.
    pub(super) fn open(&mut self, now: Instant, server: SocketAddr) {
        // As long as those of most clients: a short hello earns its answer only when it is repeated.
        let wanted = Epd::ancillary("rtmfp://introducer.example.com/an-application/and-its-instance");
        self.session = self.endpoint.open(now, wanted, &[(InterfaceId(0), server)]);
    }

    /// Looks for a peer at the server.
    pub(super) fn look_up(&mut self, now: Instant, peer: PeerId, server: SocketAddr) {
        self.endpoint.open(now, Epd::fingerprint(peer).to_vec(), &[(InterfaceId(0), server)]);
    }

    /// Opens a flow of that kind: that of stream 0 is the control flow, and all others are in return to the server's.
    pub(in crate::serve) fn open_flow(&mut self, now: Instant, kind: FlowKind) -> SendFlowId {
        let return_of = self.control.and(self.near_control);
        let options = FlowOptions { return_of, ..FlowOptions::default() };
        self.endpoint.open_flow(now, self.session.unwrap(), &kind.metadata(), options).unwrap()
    }

    pub(in crate::serve) fn send(&mut self, now: Instant, flow: SendFlowId, message: Vec<u8>) {
        self.endpoint.send(now, self.session.unwrap(), flow, message, Delivery::default()).unwrap();
    }

    pub(in crate::serve) fn close_flow(&mut self, now: Instant, flow: SendFlowId) {
        self.endpoint.with_flows(now, self.session.unwrap(), |flows| flows.close(flow)).unwrap();
    }

    pub(in crate::serve) fn reject_flow(&mut self, now: Instant, flow: RecvFlowId) {
        self.endpoint.with_flows(now, self.session.unwrap(), |flows| flows.reject(flow, 0)).unwrap();
    }

    /// The server's flows of that kind.
    pub(in crate::serve) fn flows_of(&self, kind: FlowKind) -> Vec<RecvFlowId> {
        let mut flows: Vec<_> = self.kinds.iter().filter(|(_, own)| **own == kind).map(|(flow, _)| *flow).collect();
        flows.sort_unstable();
        flows
    }

    /// Handles the events of its endpoint. False if there was none.
    pub(super) fn work(&mut self, now: Instant) -> bool {
        let mut is_any = false;
        while let Some(event) = self.endpoint.poll_event() {
            is_any = true;
            match event {
                Event::Keying(job) => self.endpoint.keying_done(now, job.run()),
                Event::Opened { session, .. } => {
                    let peer = self.endpoint.session(session).map(|info| info.peer_id);
                    self.met.extend(peer.filter(|_| Some(session) != self.session));
                }
                Event::Flow { session, event } if Some(session) == self.session => self.handle_flow(event),
                Event::Closed { session, reason } if Some(session) == self.session => self.closed = Some(reason),
                _ => (),
            }
        }
        is_any
    }

    fn handle_flow(&mut self, event: FlowEvent) {
        match event {
            FlowEvent::Opened { flow, metadata, return_of } => {
                let kind = FlowKind::classify(&metadata).unwrap();
                if kind == FlowKind::stream(0) {
                    self.near_control = Some(flow);
                }
                self.kinds.insert(flow, kind);
                self.returns.extend(return_of.map(|own| (flow, own)));
            }
            FlowEvent::Message { flow, data, .. } if self.kinds.get(&flow) == Some(&FlowKind::GroupControl) => {
                if let Ok(Received::Hint(about)) = read_hint(&data) {
                    self.hints.push(about);
                }
            }
            FlowEvent::Message { data, .. } => self.heard.extend(client::read(&data, AmfLimits::default())),
            FlowEvent::Rejected { flow, .. } => self.rejected.push(flow),
            FlowEvent::Ended { flow, .. } => drop(self.kinds.remove(&flow)),
            _ => (),
        }
    }

    /// Takes the codes of the statuses and answers that have come, and the names of the methods that were called.
    pub(in crate::serve) fn codes(&mut self) -> Vec<String> {
        let short = |status: Status| status.code.trim_start_matches("NetConnection.").to_owned();
        let text = |incoming| match incoming {
            Incoming::Result { status, .. } | Incoming::Error { status, .. } | Incoming::Status(status) => {
                Some(short(status))
            }
            Incoming::Call(command) => Some(command.name),
            _ => None,
        };
        std::mem::take(&mut self.heard).into_iter().filter_map(text).collect()
    }
}
