//! Clients that join groups by hand: on flows of their own, without taking part in the group.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Instant;

use introd_client::Client;
use introd_flash::metadata::FlowKind;
use introd_netgroup::channel::{Received, join, read_hint};
use introd_netgroup::{GroupDigest, Groupspec};
use introd_tests::program::Server;
use rtmfp::flow::{Delivery, FlowEvent, FlowOptions, RecvFlowId, SendFlowId};
use rtmfp::{Event, PeerId};

use super::clients::{TIMEOUT, client, connect, create_stream};

/// The settings of an application whose script has the groups.
pub(crate) const BY_SCRIPT: &str = "<RTMFP><GroupControl><JoinLeaveEvents mode=\"All\"/></GroupControl></RTMFP>";

/// The server's first flow to a client is that of its NetConnection.
pub(crate) const SERVER_CONTROL: RecvFlowId = RecvFlowId(1);

pub(crate) fn digest(name: &str) -> GroupDigest {
    let hex: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    Groupspec::parse(&format!("G:027f02{:02x}0e{hex}00", name.len() + 1)).expect("a groupspec").digest()
}

/// A client with a flow of its own to the server for a group.
pub(crate) struct Member {
    pub(crate) client: Client,
    pub(crate) flow: SendFlowId,
    /// The peers that the server has named.
    pub(crate) hints: BTreeSet<PeerId>,
}

impl Member {
    pub(crate) async fn joined(server: &Server, number: u64, message: &[u8]) -> Self {
        Self::join(client(server.addresses[0], number).await, message).await
    }

    /// A client of that application joins.
    pub(crate) async fn joined_at(server: &Server, application: &str, number: u64, group: &GroupDigest) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::join(connect(&server.uri_of(application), any, number).await, &join(group)).await
    }

    pub(crate) async fn join(client: Client, message: &[u8]) -> Self {
        let mut member = Self { client, flow: SendFlowId(0), hints: BTreeSet::new() };
        member.flow = member.say(&[message]);
        // The answer to a call that was made later says that the server has read the join.
        assert!(create_stream(&mut member.client, 2.0).await > 0.0);
        member
    }

    /// Waits until the server has named these peers.
    pub(crate) async fn is_told_of(&mut self, peers: &[PeerId]) {
        let all = async {
            while !peers.iter().all(|peer| self.hints.contains(peer)) {
                self.one_event().await;
            }
        };
        tokio::time::timeout(TIMEOUT, all).await.expect("hints");
    }

    /// Opens another flow and sends these messages on it.
    pub(crate) fn say(&mut self, messages: &[&[u8]]) -> SendFlowId {
        let (session, now, metadata) = (self.client.session(), Instant::now(), FlowKind::GroupControl.metadata());
        let options = FlowOptions { return_of: Some(SERVER_CONTROL), ..FlowOptions::default() };
        let endpoint = &mut self.client.peer().endpoint;
        let flow = endpoint.open_flow(now, session, &metadata, options).expect("a flow");
        for message in messages {
            endpoint.send(now, session, flow, message.to_vec(), Delivery::default()).expect("it can be sent");
        }
        flow
    }

    /// Waits until the server has rejected these flows.
    pub(crate) async fn is_rejected(&mut self, flows: &[SendFlowId]) {
        let all = async {
            let session = self.client.session();
            loop {
                let endpoint = &mut self.client.peer().endpoint;
                let is_any_open =
                    endpoint.with_flows(Instant::now(), session, |own| flows.iter().any(|flow| own.is_open(*flow)));
                if !is_any_open.expect("its session") {
                    return;
                }
                self.one_event().await;
            }
        };
        tokio::time::timeout(TIMEOUT, all).await.expect("rejections");
    }

    pub(crate) async fn one_event(&mut self) -> Option<FlowEvent> {
        let event = self.client.next().await.expect("its sockets work");
        let Event::Flow { session, event } = event else { return None };
        if let FlowEvent::Message { data, .. } = &event
            && session == self.client.session()
            && let Ok(Received::Hint(peer)) = read_hint(data)
        {
            self.hints.insert(peer);
        }
        Some(event)
    }
}
