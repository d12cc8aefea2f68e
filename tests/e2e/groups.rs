//! Groups over the server channel: who joins is told of members, and they of it, whichever worker has them.

use std::collections::BTreeSet;
use std::time::Instant;

use introd::client::Client;
use introd::flash::metadata::FlowKind;
use introd::groups::channel::{Received, join, read_hint};
use introd::groups::{GroupDigest, Groupspec};
use rtmfp::flow::{Delivery, FlowEvent, FlowOptions, RecvFlowId, SendFlowId};
use rtmfp::{Event, PeerId};

use crate::harness::clients::{PATIENCE, client, create_stream};
use crate::harness::program::Server;

/// The server's first flow to a client is that of its NetConnection.
const SERVER_CONTROL: RecvFlowId = RecvFlowId(1);

fn digest(name: &str) -> GroupDigest {
    let hex: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    Groupspec::parse(&format!("G:027f02{:02x}0e{hex}00", name.len() + 1)).expect("a groupspec").digest()
}

/// A client with a flow of its own to the server for a group.
struct Member {
    client: Client,
    flow: SendFlowId,
    /// The peers that the server has named.
    hints: BTreeSet<PeerId>,
}

impl Member {
    async fn joined(server: &Server, number: u64, message: &[u8]) -> Self {
        let mut client = client(server.addresses[0], number).await;
        let session = client.session();
        let endpoint = &mut client.peer().endpoint;
        let (now, metadata) = (Instant::now(), FlowKind::GroupControl.metadata());
        let options = FlowOptions { return_of: Some(SERVER_CONTROL), ..FlowOptions::default() };
        let flow = endpoint.open_flow(now, session, &metadata, options).expect("a flow");
        endpoint.send(now, session, flow, message.to_vec(), Delivery::default()).expect("it can be sent");
        // The answer to a call that was made later says that the server has read the join.
        let mut member = Self { client, flow, hints: BTreeSet::new() };
        assert!(create_stream(&mut member.client, 2.0).await > 0.0);
        member
    }

    /// Waits until the server has named these peers.
    async fn is_told_of(&mut self, peers: &[PeerId]) {
        let all = async {
            while !peers.iter().all(|peer| self.hints.contains(peer)) {
                self.one_event().await;
            }
        };
        tokio::time::timeout(PATIENCE, all).await.expect("hints");
    }

    async fn one_event(&mut self) -> Option<FlowEvent> {
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

#[tokio::test]
async fn members_are_told_of_each_other_across_workers() {
    let server = Server::on_loopback(4);
    let group = join(&digest("chess"));
    let mut members = Vec::new();
    for number in 0..6 {
        members.push(Member::joined(&server, number, &group).await);
    }
    let mut stranger = Member::joined(&server, 100, &join(&digest("poker"))).await;
    let ids: Vec<PeerId> = members.iter().map(|member| member.client.id()).collect();
    // Among six, everybody is a ring neighbour of everybody: newcomers are told of those there, and those of the newcomers.
    for member in &mut members {
        let own = member.client.id();
        let others: Vec<PeerId> = ids.iter().copied().filter(|id| *id != own).collect();
        member.is_told_of(&others).await;
        assert_eq!(member.hints.len(), others.len(), "nobody else");
    }
    assert!(create_stream(&mut stranger.client, 3.0).await > 0.0);
    assert!(stranger.hints.is_empty(), "another group's members are nobody's business");
    // One leaves in an orderly way, one by closing its flow, one is gone without a word to the group.
    members.pop().expect("a member").client.close().await;
    let mut leaver = members.pop().expect("a member");
    let (session, flow) = (leaver.client.session(), leaver.flow);
    leaver.client.peer().endpoint.with_flows(Instant::now(), session, |flows| flows.close(flow)).expect("its session");
    while !matches!(leaver.one_event().await, Some(FlowEvent::Closed { flow: closed }) if closed == flow) {}
    assert!(create_stream(&mut leaver.client, 3.0).await > 0.0, "the connection goes on");
    let ended = server.stop();
    assert_eq!(ended.counter("group_join"), 7);
    assert_eq!(ended.counter("group_leave"), 7, "each leaves once, with its session at the latest");
}

#[tokio::test]
async fn a_join_that_makes_no_sense_ends_its_flow_only() {
    let server = Server::on_loopback(1);
    for (number, message) in [&b"\x01\x21\x15short"[..], b"\x07", b"\x01\x02\x15\x00"].into_iter().enumerate() {
        let mut member = Member::joined(&server, number as u64, message).await;
        let flow = member.flow;
        let rejected = async {
            while !matches!(member.one_event().await, Some(FlowEvent::Rejected { flow: of, .. }) if of == flow) {}
        };
        // The rejection may have come with the answer that was waited for: then the flow is closed already.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), rejected).await;
        let session = member.client.session();
        let is_open = member.client.peer().endpoint.with_flows(Instant::now(), session, |flows| flows.is_open(flow));
        assert_eq!(is_open, Ok(false), "{message:?}");
        assert!(create_stream(&mut member.client, 3.0).await > 0.0, "{message:?}");
        member.client.close().await;
    }
    assert_eq!(server.stop().counter("group_join"), 0);
}
