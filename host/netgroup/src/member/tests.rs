mod announced;
mod bounds;
mod directed;
mod telling;
mod upkeep;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use rtmfp::{Origin, PeerId, TaggedAddress};

use super::message::{Connect, ControlMessage};
use super::posting::KeyMessage;
use super::proof::Prover;
use super::report::{Entry, Report};
use super::*;
use crate::channel;
use crate::groupspec::{GroupSpecifier, Groupspec};

fn spec(name: &str) -> Groupspec {
    GroupSpecifier::new(name).unwrap().with_authorizations().unwrap()
}

fn facts(peer: PeerId, near: u8, far: u8) -> SessionFacts {
    let far_address = ([192, 0, 2, far], 1).into();
    SessionFacts { peer, near_nonce: [near; 32], far_nonce: [far; 32], far_address, rtt: None }
}

const A: PeerId = PeerId([0xa; 32]);
const B: PeerId = PeerId([0xb; 32]);

fn outputs(member: &mut Member) -> Vec<Output> {
    std::iter::from_fn(|| member.poll_output()).collect()
}

/// The outputs of a member to which a peer with a session sends `connect`.
fn answer(connect: Connect) -> Vec<Output> {
    let now = Instant::now();
    let mut member = Member::new(now, &spec("g"), A, [1; 32]);
    member.on_session(now, facts(B, 1, 2));
    member.on_message(now, B, flow_type::CONTROL, &ControlMessage::Connect(connect).write());
    outputs(&mut member)
}

fn right() -> Connect {
    Connect { group: spec("g").digest(), proof: Prover::new(&spec("g")).prove(&[1; 32]), receiver: A }
}

fn is_admitted(outputs: &[Output]) -> bool {
    outputs.contains(&Output::Event(GroupEvent::NeighborConnected(B)))
}

#[test]
fn a_peer_that_does_not_know_the_groupspec_is_told_nothing() {
    assert!(is_admitted(&answer(right())));
    let mut wrong_proof = right();
    wrong_proof.proof[31] ^= 1;
    for (connect, reason) in [
        (wrong_proof, Refusal::Proof),
        (Connect { proof: Prover::new(&spec("h")).prove(&[1; 32]), ..right() }, Refusal::Proof),
        // The proof that this member itself would send, sent back to it.
        (Connect { proof: Prover::new(&spec("g")).prove(&[2; 32]), ..right() }, Refusal::Proof),
        (Connect { group: spec("h").digest(), ..right() }, Refusal::Group),
        (Connect { receiver: B, ..right() }, Refusal::Receiver),
    ] {
        let expected = [Output::Release(B), Output::Event(GroupEvent::Refused { peer: B, reason })];
        assert_eq!(answer(connect), expected);
    }
}

#[test]
fn a_refused_peer_does_not_get_another_try_in_its_session() {
    let now = Instant::now();
    let mut member = Member::new(now, &spec("g"), A, [1; 32]);
    member.on_session(now, facts(B, 1, 2));
    let wrong = ControlMessage::Connect(Connect { proof: [0; 32], ..right() }).write();
    for _ in 0..1000 {
        member.on_message(now, B, flow_type::CONTROL, &wrong);
    }
    member.on_message(now, B, flow_type::CONTROL, &ControlMessage::Connect(right()).write());
    assert_eq!(outputs(&mut member).len(), 2, "one refusal");
    member.on_session_closed(now, B);
    member.on_session(now, facts(B, 1, 2));
    member.on_message(now, B, flow_type::CONTROL, &ControlMessage::Connect(right()).write());
    assert!(is_admitted(&outputs(&mut member)));
}

/// A member with B for a neighbour.
fn neighbors(now: Instant) -> Member {
    let mut member = Member::new(now, &spec("g"), A, [1; 32]);
    member.on_session(now, facts(B, 1, 2));
    member.on_message(now, B, flow_type::CONTROL, &ControlMessage::Connect(right()).write());
    assert!(is_admitted(&outputs(&mut member)));
    member
}

#[test]
fn nothing_is_accepted_before_admission() {
    let now = Instant::now();
    let mut member = Member::new(now, &spec("g"), A, [1; 32]);
    let entry = Entry { peer: PeerId([3; 32]), age: 0, addresses: Vec::new() };
    let report = ControlMessage::Report(Report { entries: vec![entry], ..Report::default() }).write();
    let all = [&report[..], &[0x0e], &[0x0c], &[0x02], &KeyMessage::Have([1; 8]).write()];
    for session in [false, true] {
        if session {
            member.on_session(now, facts(B, 1, 2));
        }
        for message in all {
            for flow_type in [flow_type::CONTROL, flow_type::POSTING_KEY, flow_type::POSTING] {
                if ControlMessage::read(message).is_ok() {
                    member.on_message(now, B, flow_type, message);
                }
            }
        }
        assert!(outputs(&mut member).is_empty());
        assert_eq!(member.known.ring().len(), 0);
    }
}

#[test]
fn both_ends_ask_at_once() {
    let now = Instant::now();
    let mut a = Member::new(now, &spec("g"), A, [1; 32]);
    let mut b = Member::new(now, &spec("g"), B, [2; 32]);
    a.add_neighbor(now, B);
    b.add_neighbor(now, A);
    a.on_session(now, facts(B, 1, 2));
    b.on_session(now, facts(A, 2, 1));
    // Each message crosses those of the other.
    for _ in 0..4 {
        let (from_a, from_b) = (outputs(&mut a), outputs(&mut b));
        for (to, from, said) in [(&mut b, A, from_a), (&mut a, B, from_b)] {
            for output in said {
                assert!(!matches!(output, Output::Release(_)));
                if let Output::Send { flow_type, message, .. } = output {
                    to.on_message(now, from, flow_type, &message);
                }
            }
        }
    }
    assert_eq!((a.neighbor_count(), b.neighbor_count()), (1, 1));
    assert!(outputs(&mut a).is_empty() && outputs(&mut b).is_empty(), "and then they are silent");
}

#[test]
fn the_rate_of_reports_is_limited() {
    let now = Instant::now();
    let mut member = neighbors(now);
    let ask = |member: &mut Member, after: u64| {
        for _ in 0..1000 {
            member.on_message(now + Duration::from_secs(after), B, flow_type::CONTROL, &[0x0e]);
        }
        outputs(member).len()
    };
    assert_eq!([ask(&mut member, 0), ask(&mut member, 4), ask(&mut member, 5)], [1, 0, 1]);
    // Two members do not answer each other's answers for ever.
    let report = ControlMessage::Report(Report::default()).write();
    for _ in 0..1000 {
        member.on_message(now + Duration::from_secs(6), B, flow_type::CONTROL, &report);
    }
    assert!(outputs(&mut member).is_empty());
}

#[test]
fn members_that_a_neighbour_invents_are_bounded() {
    let now = Instant::now();
    let mut member = neighbors(now);
    for round in 0..100u8 {
        let entries = (0..200u8)
            .map(|number| {
                let mut id = [number; 32];
                id[0] = round;
                Entry { peer: PeerId(id), age: 0, addresses: Vec::new() }
            })
            .collect();
        let report = ControlMessage::Report(Report { entries, ..Report::default() }).write();
        member.on_message(now, B, flow_type::CONTROL, &report);
    }
    // Those that are read of the first reports: of each that is one too many another is forgotten.
    assert_eq!(member.known.ring().len(), 64 + 1);
    let counters = member.take_counters();
    // A itself and B are among those named.
    assert_eq!(counters.members_ignored, 200 * (100 - counters.control_dropped) - 64 - 2);
    assert!((60..70).contains(&counters.control_dropped), "{counters:?}");
    // Others are learned of, and found, all the same.
    let honest = PeerId([0xc; 32]);
    member.on_session(now, facts(honest, 1, 3));
    member.on_message(now, honest, flow_type::CONTROL, &ControlMessage::Connect(right()).write());
    let entry = Entry { peer: PeerId([0xd; 32]), age: 0, addresses: Vec::new() };
    let report = ControlMessage::Report(Report { entries: vec![entry], ..Report::default() }).write();
    member.on_message(now, honest, flow_type::CONTROL, &report);
    assert!(member.known.get(&PeerId([0xd; 32])).is_some());
    outputs(&mut member);
    member.handle_timeout(member.next_upkeep);
    let attempts = outputs(&mut member).iter().filter(|output| matches!(output, Output::Connect { .. })).count();
    assert!((1..=9).contains(&attempts), "{attempts}");
    assert_eq!(member.neighbor_count(), 2, "the real ones stay");
}

#[test]
fn old_news_and_news_of_oneself_are_ignored() {
    let now = Instant::now();
    let mut member = neighbors(now);
    let entry = |peer, age| Entry { peer, age, addresses: Vec::new() };
    let entries = vec![entry(A, 0), entry(PeerId([3; 32]), 301), entry(PeerId([4; 32]), u64::MAX)];
    let report = ControlMessage::Report(Report { entries, ..Report::default() }).write();
    member.on_message(now, B, flow_type::CONTROL, &report);
    assert_eq!(member.known.ring().iter().map(|known| known.peer).collect::<Vec<_>>(), [B]);
    member.add_neighbor(now, A);
    member.add_member_hint(now, A);
    member.set_permanent(now, A, true);
    member.on_session(now, facts(A, 1, 1));
    assert!(!member.links.contains_key(&A));
}

#[test]
fn a_malformed_message_ends_the_neighbourhood() {
    let now = Instant::now();
    for (flow_type, message) in
        [(flow_type::CONTROL, &[][..]), (flow_type::CONTROL, &[0x0a, 0x05]), (flow_type::POSTING_KEY, &[0x30, 1])]
    {
        let mut member = neighbors(now);
        member.on_message(now, B, flow_type, message);
        let told = outputs(&mut member);
        assert!(told.contains(&Output::Event(GroupEvent::NeighborDisconnected(B))));
        assert!(told.contains(&Output::Event(GroupEvent::Refused { peer: B, reason: Refusal::Malformed })));
        assert_eq!(member.neighbor_count(), 0);
    }
    // A message that is only unknown does not.
    let mut member = neighbors(now);
    member.on_message(now, B, flow_type::CONTROL, &[0x77, 1, 2]);
    member.on_message(now, B, 0x55, &[1]);
    assert!(outputs(&mut member).is_empty());
}

#[test]
fn a_neighbour_that_is_wanted_is_not_released() {
    let now = Instant::now();
    let mut member = neighbors(now);
    let later = member.next_upkeep;
    member.handle_timeout(later);
    outputs(&mut member);
    member.on_message(later, B, flow_type::CONTROL, &[0x0c]);
    assert_eq!(member.neighbor_count(), 1);
    // A neighbour that closes its flow is gone, and can come back in the same session.
    member.on_flow_closed(later, B, flow_type::CONTROL);
    assert_eq!(member.neighbor_count(), 0);
    outputs(&mut member);
    member.on_message(later, B, flow_type::CONTROL, &ControlMessage::Connect(right()).write());
    assert!(is_admitted(&outputs(&mut member)));
}

#[test]
fn a_permanent_neighbour_is_sought_again() {
    let now = Instant::now();
    let mut member = Member::new(now, &spec("g"), A, [1; 32]);
    member.set_permanent(now, B, true);
    let connect = Output::Connect { peer: B, addresses: Vec::new() };
    assert_eq!(outputs(&mut member), [connect]);
    let mut now = now;
    let mut attempts = 0;
    for _ in 0..1000 {
        member.on_open_failed(now, B);
        now = member.poll_timeout();
        member.handle_timeout(now);
        attempts += outputs(&mut member).iter().filter(|output| matches!(output, Output::Connect { .. })).count();
    }
    // Long after others would have been forgotten, and not too often.
    assert!((10..200).contains(&attempts), "{attempts}");
    member.on_session(now, facts(B, 1, 2));
    member.set_permanent(now, B, false);
    assert!(member.permanent.is_empty());
}

#[test]
fn peers_that_do_not_answer_are_given_up() {
    let now = Instant::now();
    let mut member = Member::new(now, &spec("g"), A, [1; 32]);
    member.add_neighbor(now, B);
    member.on_session(now, facts(B, 1, 2));
    outputs(&mut member);
    let mut told = Vec::new();
    for _ in 0..5 {
        member.handle_timeout(member.poll_timeout());
        told.extend(outputs(&mut member));
    }
    assert!(told.contains(&Output::Event(GroupEvent::Refused { peer: B, reason: Refusal::Late })));
}

#[test]
fn the_server_receives_a_join_and_its_hints_are_followed() {
    let now = Instant::now();
    let mut member = Member::new(now, &spec("g"), A, [1; 32]);
    let server = ([192, 0, 2, 9], 1935).into();
    member.on_server_connected(server);
    assert_eq!(outputs(&mut member), [Output::SendToServer(channel::join(&member.group()))]);
    member.on_server_message(now, &channel::hint(&B)).unwrap();
    assert_eq!(outputs(&mut member), [Output::Connect { peer: B, addresses: Vec::new() }]);
    assert!(member.on_server_message(now, &[0x0b, 1]).is_err());
    member.on_server_message(now, &[0x66]).unwrap();
    assert!(outputs(&mut member).is_empty());
    // The server is named to others.
    member.on_session(now, facts(B, 1, 2));
    member.on_message(now, B, flow_type::CONTROL, &ControlMessage::Connect(right()).write());
    member.on_message(now, B, flow_type::CONTROL, &[0x0e]);
    let report = outputs(&mut member).into_iter().find_map(|output| match output {
        Output::Send { message, .. } => match ControlMessage::read(&message) {
            Ok(ControlMessage::Report(report)) => Some(report),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(report.unwrap().sender, [TaggedAddress::new(server, Origin::Relay)]);
}

/// What a neighbour may send: whole messages, damaged messages, and any bytes.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    let entry = Entry { peer: PeerId([5; 32]), age: 3, addresses: Vec::new() };
    let whole = [
        ControlMessage::Connect(right()),
        ControlMessage::Begin { nearest: true },
        ControlMessage::Report(Report { entries: vec![entry; 3], ..Report::default() }),
        ControlMessage::Member(PeerId([6; 32])),
        ControlMessage::AskClose,
    ]
    .map(|message| message.write());
    let keys = [KeyMessage::Have([1; 8]), KeyMessage::Want([1; 8])].map(|message| message.write().to_vec());
    let damaged = (proptest::sample::select([&whole[..], &keys[..]].concat()), any::<(usize, u8, bool)>()).prop_map(
        |(mut message, (at, value, cut))| {
            let at = at % message.len();
            if cut {
                message.truncate(at);
            } else {
                message[at] = value;
            }
            message
        },
    );
    prop_oneof![proptest::sample::select(whole.to_vec()), damaged, any::<Vec<u8>>()]
}

proptest! {
    /// A neighbour or a stranger sends anything, on any flow, while time passes: a member keeps little, and sends little for it.
    #[test]
    fn any_messages_cost_little(
        said in proptest::collection::vec((0u8..5, messages(), 0u64..3), 0..80),
        is_neighbor: bool,
    ) {
        let mut now = Instant::now();
        let mut member = Member::new(now, &spec("g"), A, [1; 32]);
        member.on_session(now, facts(B, 1, 2));
        if is_neighbor {
            member.on_message(now, B, flow_type::CONTROL, &ControlMessage::Connect(right()).write());
        }
        let kinds = [flow_type::CONTROL, flow_type::STREAM, flow_type::FRAGMENT, flow_type::POSTING_KEY, flow_type::POSTING];
        let mut answers = outputs(&mut member).len();
        for (kind, message, wait) in &said {
            now += Duration::from_secs(*wait);
            member.on_message(now, B, kinds[usize::from(*kind)], message);
            while member.poll_timeout() <= now {
                member.handle_timeout(now);
            }
            answers += outputs(&mut member).len();
        }
        prop_assert!(member.neighbors().count() <= 1);
        prop_assert!(member.links.len() <= 1 + 4 * said.len() && member.known.ring().len() <= 2 * MAX_KNOWN);
        prop_assert!(answers <= 8 + 24 * said.len(), "{answers}");
    }
}
