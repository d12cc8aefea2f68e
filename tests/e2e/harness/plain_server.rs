//! A server that knows RFC 7016 and RFC 7425 and nothing more, as those of other makers: it does not say at which address it sees a client,
//! and has no methods.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use introd_client::PeerEndpoint;
use introd_flash::server::{Action, ConnectionSettings, FlowVerdict, NetConnection};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rtmfp::crypto::{Group, Identity};
use rtmfp::flow::{Delivery, FlowEvent, FlowOptions, RecvFlowId, SendFlowId};
use rtmfp::{Config, Event, Lookup, Origin, SessionId, TaggedAddress};
use tokio::sync::oneshot;

use super::clients::socket;

/// How the server treats its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It lets them stay, and introduces them to each other.
    Serves,
    /// It accepts them, and ends the connection as soon as they have reported their addresses.
    EndsAtOnce,
}

/// A server on a thread of its own, until it is dropped.
pub(crate) struct PlainServer {
    pub(crate) addresses: Vec<SocketAddr>,
    _stop: oneshot::Sender<()>,
}

impl PlainServer {
    /// A server on a free port of each of these addresses.
    pub(crate) fn start(listen: &[&str], manner: Manner) -> Self {
        let sockets: Vec<_> = listen.iter().map(|address| socket(address.parse().unwrap())).collect();
        let addresses = sockets.iter().map(|socket| socket.local_address()).collect();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            // A server accepts hellos for its URI, whatever that is.
            let identity =
                Arc::new(Identity::ephemeral(&[Group::Modp2], None, true, &mut ChaCha20Rng::from_seed([0x5e; 32])));
            runtime.block_on(async move {
                let peer = PeerEndpoint::with_sockets(Config::server(vec![identity]), sockets).unwrap();
                let mut running = Running { peer, manner, clients: HashMap::new() };
                tokio::select! {
                    () = running.serve() => (),
                    _ = stopped => (),
                }
            });
        });
        Self { addresses, _stop: stop }
    }

    pub(crate) fn uri(&self, index: usize) -> String {
        format!("rtmfp://{}/app", self.addresses[index])
    }
}

struct Running {
    peer: PeerEndpoint,
    manner: Manner,
    clients: HashMap<SessionId, Connection>,
}

struct Connection {
    connection: NetConnection,
    sending: Vec<(u32, SendFlowId)>,
}

impl Running {
    async fn serve(&mut self) {
        while let Ok(event) = self.peer.next().await {
            match event {
                Event::Lookup(lookup) => self.introduce(&lookup),
                Event::Flow { session, event } => self.flow(session, event),
                Event::Closed { session, .. } => _ = self.clients.remove(&session),
                _ => (),
            }
        }
    }

    fn introduce(&mut self, lookup: &Lookup) {
        let endpoint = &mut self.peer.endpoint;
        let Some(session) = lookup.target.and_then(|target| endpoint.session_of(&target)) else { return };
        let Some(info) = endpoint.session(session) else { return };
        endpoint.redirect(lookup, &[TaggedAddress::new(info.far_address, Origin::Observed)]);
        let _ = endpoint.forward(Instant::now(), session, lookup);
    }

    fn flow(&mut self, session: SessionId, event: FlowEvent) {
        let client = self.clients.entry(session).or_insert_with(|| Connection {
            connection: NetConnection::new(Arc::new(ConnectionSettings::default())),
            sending: Vec::new(),
        });
        let (now, endpoint) = (Instant::now(), &mut self.peer.endpoint);
        let (mut actions, mut ending) = (Vec::new(), None);
        match event {
            FlowEvent::Opened { flow, metadata, return_of } => {
                let return_of = return_of.map(|flow| flow.0);
                if let FlowVerdict::Reject(_) = client.connection.on_flow(flow.0, &metadata, return_of) {
                    let _ = endpoint.with_flows(now, session, |flows| flows.reject(flow, 0));
                }
            }
            FlowEvent::Message { flow, data, .. } => {
                client.connection.on_message(flow.0, &data, &mut actions);
                let is_over = actions.iter().any(|action| matches!(action, Action::SetPeerInfo(_)));
                ending = (is_over && self.manner == Manner::EndsAtOnce).then_some(flow);
                if actions.iter().any(|action| matches!(action, Action::Connect(_))) {
                    client.connection.accept(Vec::new(), &mut actions).unwrap();
                }
            }
            _ => (),
        }
        for action in actions {
            match action {
                Action::OpenFlow { stream, return_of, metadata } => {
                    let options = FlowOptions { return_of: Some(RecvFlowId(return_of)), ..FlowOptions::default() };
                    let flow = endpoint.open_flow(now, session, &metadata, options).unwrap();
                    client.sending.push((stream, flow));
                }
                Action::Send { stream, message } => {
                    let (_, flow) = client.sending.iter().find(|(id, _)| *id == stream).unwrap();
                    let _ = endpoint.send(now, session, *flow, message, Delivery::default());
                }
                Action::Call(call) => {
                    let mut refusal = Vec::new();
                    client.connection.refuse_call(&call, &mut refusal);
                    for action in refusal {
                        if let Action::Send { message, .. } = action {
                            let (_, flow) = client.sending.first().unwrap();
                            let _ = endpoint.send(now, session, *flow, message, Delivery::default());
                        }
                    }
                }
                _ => (),
            }
        }
        // The client has its answer by now, and hears of the end before its own message is acknowledged, or with that.
        if let Some(flow) = ending {
            let _ = endpoint.with_flows(now, session, |flows| flows.reject(flow, 0));
        }
    }
}
