//! Flows of peers and to peers, one event at a time.

use rtmfp::SessionId;
use rtmfp::flow::{MessageId, SendFlowId};

use super::super::peer_session::{Incoming, Outgoing};
use super::*;

/// Node 0 is in two groups, and has a session with node 1.
fn in_two_groups() -> (Network, SessionId, [GroupDigest; 2]) {
    let mut network = Network::of(2);
    network.open(0, 1);
    let groups = ["one", "two"].map(spec);
    for group in &groups {
        network.with(0, |participant, context| participant.join(context, group));
    }
    let far = network.id(1);
    let session = network.node(0).endpoint.session_of(&far).unwrap();
    (network, session, groups.map(|group| group.digest()))
}

fn sends(group: GroupDigest, flow_type: u8, flow: u64) -> Outgoing {
    Outgoing { group, flow_type, flow: Some(SendFlowId(flow)) }
}

fn happens(network: &mut Network, session: SessionId, event: FlowEvent) {
    let event = Event::Flow { session, event };
    network.with(0, |participant, context| participant.handle_event(context, &event));
}

fn known(network: &mut Network, session: SessionId) -> &mut super::super::peer_session::PeerSession {
    network.node(0).participant.sessions.get_mut(&session).unwrap()
}

#[test]
fn a_flow_that_is_closed_is_forgotten_and_the_others_are_not() {
    let (mut network, session, [one, two]) = in_two_groups();
    known(&mut network, session).sending = vec![sends(one, flow_type::CONTROL, 5), sends(two, flow_type::CONTROL, 6)];
    happens(&mut network, session, FlowEvent::Closed { flow: SendFlowId(5) });
    let left: Vec<_> = known(&mut network, session).sending.iter().map(|own| own.flow).collect();
    assert_eq!(left, [Some(SendFlowId(6))]);
}

#[test]
fn only_flows_of_known_types_that_say_their_group_are_taken() {
    let (mut network, session, [one, _]) = in_two_groups();
    known(&mut network, session).sending = vec![sends(one, flow_type::CONTROL, 5)];
    let answers = Some(SendFlowId(5));
    for (flow_type, return_of, expected) in [
        (flow_type::CONTROL, None, true),
        (flow_type::CONTROL, answers, true),
        (flow_type::STREAM, answers, true),
        (flow_type::STREAM, None, false),
        (flow_type::POSTING, Some(SendFlowId(6)), false),
        (0x55, answers, false),
        (0x55, None, false),
    ] {
        let flow = RecvFlowId(9);
        let taken = network.node(0).participant.peer_flow_opened(session, flow, flow_type, return_of);
        assert_eq!(taken, expected, "{flow_type:#x} {return_of:?}");
        assert_eq!(known(&mut network, session).receiving.remove(&flow).is_some(), expected);
    }
    network.node(0).participant.memberships.clear();
    assert!(!network.node(0).participant.peer_flow_opened(session, RecvFlowId(9), flow_type::CONTROL, None));
}

#[test]
fn a_flow_of_a_peer_is_found_by_its_group_and_type() {
    let (mut network, session, [one, two]) = in_two_groups();
    let session = known(&mut network, session);
    for (number, group, flow_type) in [(1, one, flow_type::STREAM), (2, two, flow_type::CONTROL)] {
        session.receiving.insert(RecvFlowId(number), Incoming { flow_type, group: Some(group) });
    }
    assert_eq!(session.incoming(&one, flow_type::CONTROL), None);
    assert_eq!(session.incoming(&two, flow_type::CONTROL), Some(RecvFlowId(2)));
    assert_eq!(session.incoming(&one, flow_type::STREAM), Some(RecvFlowId(1)));
}

#[test]
fn a_rejected_control_flow_ends_all_flows_of_its_group_and_another_only_itself() {
    for (rejected, left) in [(5, vec![7]), (6, vec![5, 7])] {
        let (mut network, session, [one, two]) = in_two_groups();
        let sending = vec![
            sends(one, flow_type::CONTROL, 5),
            sends(one, flow_type::POSTING, 6),
            sends(two, flow_type::CONTROL, 7),
        ];
        known(&mut network, session).sending = sending;
        happens(&mut network, session, FlowEvent::Rejected { flow: SendFlowId(rejected), exception: 0 });
        let flows: Vec<_> = known(&mut network, session).sending.iter().filter_map(|own| own.flow).collect();
        assert_eq!(flows, left.into_iter().map(SendFlowId).collect::<Vec<_>>(), "{rejected}");
    }
}

#[test]
fn only_the_arrival_of_the_join_itself_is_told() {
    let mut network = with_server();
    let group = spec("g");
    network.with(0, |groups, context| groups.join(context, &group));
    let server = network.node(0).participant.server.unwrap().session;
    let right = (SendFlowId(40), MessageId(3));
    network.node(0).participant.memberships.get_mut(&group.digest()).unwrap().joining = Some((right.0, Some(right.1)));
    let elsewhere = {
        let mut other = Network::of(3);
        other.open(0, 1);
        other.open(0, 2);
        let last = other.id(2);
        other.node(0).endpoint.session_of(&last).unwrap()
    };
    assert_ne!(elsewhere, server);
    network.node(0).participant.notices.clear();
    for (session, flow, message, is_it) in [
        (server, SendFlowId(41), right.1, false),
        (server, right.0, MessageId(4), false),
        (elsewhere, right.0, right.1, false),
        (server, right.0, right.1, true),
    ] {
        happens(&mut network, session, FlowEvent::Delivered { flow, message });
        let told: Vec<_> = std::iter::from_fn(|| network.node(0).participant.poll_notice()).collect();
        assert_eq!(!told.is_empty(), is_it, "{flow:?} {message:?}");
    }
}

#[test]
fn what_is_late_is_done_and_what_is_given_up_is_given_up_once() {
    let mut network = with_server();
    let (group, start) = (spec("g"), network.now);
    network.with(0, |groups, context| {
        groups.join(context, &group);
        groups.tell(context, &group.digest(), |member| member.add_neighbor(start, PeerId([7; 32])))
    });
    let participant = &network.node(0).participant;
    let due = participant.member(&group.digest()).unwrap().poll_timeout();
    network.now = due + Duration::from_secs(60);
    let now = network.now;
    network.with(0, |groups, context| groups.handle_timeout(context));
    let participant = &network.node(0).participant;
    assert!(participant.member(&group.digest()).unwrap().poll_timeout() > now, "upkeep was late");
    let until: Vec<_> = participant.opening.values().map(|opening| opening.until - start).collect();
    assert_eq!(until, [now + Duration::from_secs(30) - start], "the endpoint says when it is over");
}

#[test]
fn the_server_of_this_end_is_tried_last() {
    use rtmfp::{Origin, TaggedAddress};
    let mut network = with_server();
    let named = |text: &str, origin| TaggedAddress::new(text.parse().unwrap(), origin);
    let server = address(1).to_string();
    let all = [
        named(&server, Origin::Observed),
        named("198.51.100.1:1935", Origin::Relay),
        named("203.0.113.5:5", Origin::Observed),
    ];
    let tried = network.with(0, |groups, context| groups.candidates(context, &all));
    let tried: Vec<_> = tried.into_iter().map(|(_, address)| address.to_string()).collect();
    assert_eq!(tried, ["203.0.113.5:5", "198.51.100.1:1935", server.as_str()]);
}
