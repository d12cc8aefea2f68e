//! Groups at a server: joins, hints, and the end of either.

use rtmfp::SessionId;
use rtmfp::flow::SendFlowId;

use super::*;
use crate::channel;

/// Node 0 has a session with node 1, its server, which has opened a control flow to it.
struct AtServer {
    network: Network,
    control: SendFlowId,
    session: SessionId,
}

impl AtServer {
    fn new() -> Self {
        let mut network = Network::of(2);
        network.open(0, 1);
        let (client, server, now) = (network.id(0), network.id(1), network.now);
        let endpoint = &mut network.node(1).endpoint;
        let session = endpoint.session_of(&client).unwrap();
        let control = endpoint.open_flow(now, session, b"control", FlowOptions::default()).unwrap();
        endpoint.send(now, session, control, b"hello", Delivery::default()).unwrap();
        network.settle();
        let (theirs, _, _) = opened(&mut network, 0)[0].clone();
        network.with(0, |groups, context| {
            let session = context.endpoint.session_of(&server).unwrap();
            groups.set_server(context, Some(ServerConnection { session, control: theirs }));
        });
        Self { network, control, session }
    }

    /// Node 0 joins a group; gives the flow on which it does.
    fn join(&mut self, group: &Groupspec) -> RecvFlowId {
        self.network.with(0, |groups, context| groups.join(context, group));
        self.network.run_for(Duration::from_secs(1));
        opened(&mut self.network, 1).last().expect("a flow").0
    }

    /// The server sends a message on a new flow.
    fn sends(&mut self, metadata: &[u8], return_of: Option<RecvFlowId>, message: &[u8]) -> SendFlowId {
        let (now, session) = (self.network.now, self.session);
        let endpoint = &mut self.network.node(1).endpoint;
        let options = FlowOptions { return_of, ..FlowOptions::default() };
        let flow = endpoint.open_flow(now, session, metadata, options).unwrap();
        endpoint.send(now, session, flow, message, Delivery::default()).unwrap();
        self.network.settle();
        flow
    }

    fn membership(&mut self, group: &Groupspec) -> &super::super::state::Membership {
        &self.network.node(0).participant.memberships[&group.digest()]
    }

    fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.network.node(0).notices)
    }
}

/// The flows that were opened to a node: with which metadata, and in return to which flow.
fn opened(network: &mut Network, number: u8) -> Vec<(RecvFlowId, Vec<u8>, Option<SendFlowId>)> {
    let events = network.node(number).events.iter();
    let opened = events.filter_map(|event| match event {
        Event::Flow { event: FlowEvent::Opened { flow, metadata, return_of }, .. } => {
            Some((*flow, metadata.clone(), *return_of))
        }
        _ => None,
    });
    opened.collect()
}

#[test]
fn a_join_goes_out_in_return_to_the_servers_control_flow_and_its_arrival_is_told() {
    let mut at = AtServer::new();
    let group = spec("g");
    let flow = at.join(&group);
    assert_eq!(opened(&mut at.network, 1), [(flow, b"GC".to_vec(), Some(at.control))]);
    let sent: Vec<_> = at
        .network
        .node(1)
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Flow { event: FlowEvent::Message { flow, data, .. }, .. } => Some((*flow, data.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(sent, [(flow, channel::join(&group.digest()))]);
    assert_eq!(at.notices(), [Notice::Joined]);
}

#[test]
fn a_hint_counts_on_a_flow_in_return_to_the_join_only() {
    let mut at = AtServer::new();
    let group = spec("g");
    let flow = at.join(&group);
    at.notices();
    let [right, wrong] = [7, 8].map(|number| PeerId([number; 32]));
    at.sends(b"GC", None, &channel::hint(&wrong));
    at.sends(b"other", Some(flow), &channel::hint(&wrong));
    assert_eq!((at.notices(), at.network.node(0).participant.opening.len()), (vec![], 0));
    let hints = at.sends(b"GC", Some(flow), &channel::hint(&right));
    assert_eq!(at.notices(), [Notice::Hint(right)]);
    // The member is tried through the server.
    let tried: Vec<_> = at.network.node(0).participant.opening.values().map(|opening| opening.peer).collect();
    assert_eq!(tried, [right]);
    assert!(at.membership(&group).hints.is_some());
    // Another flow's end is not that of the hints.
    let (now, session) = (at.network.now, at.session);
    let other = at.sends(b"other", None, b"x");
    for (flow, is_left) in [(other, true), (hints, false)] {
        let endpoint = &mut at.network.node(1).endpoint;
        endpoint.with_flows(now, session, |flows| flows.close(flow)).unwrap();
        at.network.settle();
        assert_eq!(at.membership(&group).hints.is_some(), is_left);
    }
}

#[test]
fn a_join_that_the_server_rejects_is_told_of_and_the_others_stay() {
    let mut at = AtServer::new();
    let (one, two) = (spec("one"), spec("two"));
    let (_, second) = (at.join(&one), at.join(&two));
    at.notices();
    let (now, session) = (at.network.now, at.session);
    at.network.node(1).endpoint.with_flows(now, session, |flows| flows.reject(second, 0)).unwrap();
    at.network.run_for(Duration::from_secs(1));
    assert_eq!(at.notices(), [Notice::JoinRefused]);
    assert_eq!([&one, &two].map(|group| at.membership(group).joining.is_some()), [true, false]);
}

#[test]
fn one_that_leaves_closes_the_flow_of_its_join() {
    let mut at = AtServer::new();
    let group = spec("g");
    let joined = at.join(&group);
    assert!(at.network.with(0, |groups, context| groups.leave(context, &group.digest())));
    at.network.run_for(Duration::from_secs(1));
    let is_ended = at
        .network
        .node(1)
        .events
        .iter()
        .any(|event| matches!(event, Event::Flow { event: FlowEvent::Ended { flow, .. }, .. } if *flow == joined));
    assert!(is_ended);
}

#[test]
fn the_end_of_the_servers_session_is_that_of_the_joins_and_not_of_the_groups() {
    for is_server in [true, false] {
        let mut at = AtServer::new();
        let group = spec("g");
        at.join(&group);
        if !is_server {
            // Another session is the server's by now.
            let other = ServerConnection { session: other_session(), control: RecvFlowId(2) };
            at.network.with(0, |groups, _| groups.server = Some(other));
        }
        let now = at.network.now;
        at.network.node(1).endpoint.close_all(now);
        at.network.run_for(Duration::from_secs(1));
        let participant = &at.network.node(0).participant;
        assert_eq!(participant.server.is_none(), is_server);
        assert_eq!(participant.groups().collect::<Vec<_>>(), [group.digest()]);
        assert_eq!(at.membership(&group).joining.is_none(), is_server);
    }
}

/// The id of a session at another participant.
fn other_session() -> SessionId {
    let mut network = Network::of(8);
    (1..8).for_each(|number| network.open(0, number));
    let last = network.id(7);
    network.node(0).endpoint.session_of(&last).unwrap()
}

/// Node 0 tries to reach a peer that is not there.
fn trying() -> (AtServer, Groupspec, SessionId, PeerId) {
    let mut at = AtServer::new();
    let (group, peer) = (spec("g"), PeerId([7; 32]));
    at.join(&group);
    let now = at.network.now;
    at.network.with(0, |groups, context| {
        groups.tell(context, &group.digest(), |member| member.add_neighbor(now, peer));
    });
    let opening: Vec<_> = at.network.node(0).participant.opening.keys().copied().collect();
    assert_eq!(opening.len(), 1);
    (at, group, opening[0], peer)
}

#[test]
fn a_peer_that_does_not_answer_is_given_up_after_30_seconds() {
    let (mut at, group, _, peer) = trying();
    let uses = |at: &mut AtServer| at.membership(&group).member.uses(&peer);
    at.network.run_for(Duration::from_millis(29_900));
    assert!(uses(&mut at));
    at.network.run_for(Duration::from_millis(200));
    assert!(!uses(&mut at) && at.network.node(0).participant.opening.is_empty());
}

#[test]
fn an_attempt_that_fails_is_over_unless_the_peer_was_faster() {
    for (reason, goes_on) in
        [(rtmfp::OpenFailure::NoAnswer, false), (rtmfp::OpenFailure::Duplicate(other_session()), true)]
    {
        let (mut at, group, session, peer) = trying();
        let event = Event::OpenFailed { session, reason };
        at.network.with(0, |groups, context| groups.handle_event(context, &event));
        assert!(at.network.node(0).participant.opening.is_empty());
        assert_eq!(at.membership(&group).member.uses(&peer), goes_on, "{event:?}");
    }
}

#[test]
fn what_is_due_is_done_when_it_is_due() {
    let mut at = AtServer::new();
    at.join(&spec("g"));
    let due = at.network.node(0).participant.poll_timeout().unwrap();
    at.network.now = due;
    at.network.with(0, |groups, context| groups.handle_timeout(context));
    assert!(at.network.node(0).participant.poll_timeout().unwrap() > due);
}
