//! What a member tells its neighbours: reports and postings.

use super::*;

fn far(number: u8) -> PeerId {
    PeerId([number; 32])
}

fn named(text: &str, origin: Origin) -> TaggedAddress {
    TaggedAddress::new(text.parse().unwrap(), origin)
}

/// The reports that were sent to B.
fn reports(member: &mut Member) -> Vec<Report> {
    let report = |output| match output {
        Output::Send { peer: B, flow_type: flow_type::CONTROL, message } => match ControlMessage::read(&message) {
            Ok(ControlMessage::Report(report)) => Some(report),
            _ => None,
        },
        _ => None,
    };
    outputs(member).into_iter().filter_map(report).collect()
}

fn says(member: &mut Member, now: Instant, report: Report) {
    member.on_message(now, B, flow_type::CONTROL, &ControlMessage::Report(report).write());
}

#[test]
fn a_report_names_members_that_are_there_at_addresses_that_are_of_use() {
    let now = Instant::now();
    let mut member = neighbors(now);
    let own = named("10.0.0.1:1", Origin::Reported);
    let seen = named("192.0.2.7:1", Origin::Observed);
    let relay = named("192.0.2.9:1935", Origin::Relay);
    let entries = vec![
        Entry { peer: far(1), age: 7, addresses: vec![own, seen, relay, named("192.0.2.8:1", Origin::Unspecified)] },
        Entry { peer: far(2), age: 0, addresses: Vec::new() },
        Entry { peer: far(3), age: 291, addresses: Vec::new() },
        Entry { peer: B, age: 0, addresses: vec![seen] },
    ];
    says(
        &mut member,
        now,
        Report { receiver: Some(named("198.51.100.1:5", Origin::Observed)), sender: vec![relay], entries },
    );
    outputs(&mut member);
    // An attempt to reach one of them fails, and another was not heard of for five minutes.
    member.known.failed(&far(2), now);
    let later = now + Duration::from_secs(9);
    member.on_message(later, B, flow_type::CONTROL, &[0x0e]);
    let [report] = &reports(&mut member)[..] else { panic!("one report") };
    assert_eq!(
        report.entries,
        [Entry { peer: far(1), age: 16, addresses: vec![seen, relay] }],
        "not the receiver itself"
    );
    assert_eq!(report.receiver, Some(named("192.0.2.2:1", Origin::Observed)), "where the receiver is seen");
    assert_eq!(report.sender, [named("198.51.100.1:5", Origin::Observed)], "where this end is seen");
}

#[test]
fn a_report_is_short_and_names_nobody_twice() {
    let now = Instant::now();
    let mut member = neighbors(now);
    let entries = (0..200).map(|number| Entry { peer: far(number), age: 0, addresses: Vec::new() }).collect();
    says(&mut member, now, Report { entries, ..Report::default() });
    member.on_message(now + Duration::from_secs(10), B, flow_type::CONTROL, &[0x0e]);
    let reports = reports(&mut member);
    let last = reports.last().unwrap();
    let different: std::collections::BTreeSet<_> = last.entries.iter().map(|entry| entry.peer).collect();
    assert!((12..=20).contains(&last.entries.len()), "{}", last.entries.len());
    assert_eq!(different.len(), last.entries.len());
}

#[test]
fn a_posting_goes_to_all_but_its_sender_and_to_later_neighbours() {
    let now = Instant::now();
    let mut member = neighbors(now);
    let c = far(0xc);
    let comes = |member: &mut Member, peer| {
        member.on_session(now, facts(peer, 1, 2));
        member.on_message(now, peer, flow_type::CONTROL, &ControlMessage::Connect(right()).write());
    };
    comes(&mut member, c);
    outputs(&mut member);
    let value = b"\x02\x00\x01a".to_vec();
    let id = PostingId::of(&value);
    let key = |peer, message: KeyMessage| Output::Send {
        peer,
        flow_type: flow_type::POSTING_KEY,
        message: message.write().to_vec(),
    };
    // B has it: this member asks B, and nobody else meanwhile.
    for from in [B, c] {
        member.on_message(now, from, flow_type::POSTING_KEY, &KeyMessage::Have(id.key()).write());
    }
    assert_eq!(outputs(&mut member), [key(B, KeyMessage::Want(id.key()))]);
    member.on_message(now, c, flow_type::POSTING_KEY, &KeyMessage::Want(id.key()).write());
    assert_eq!(outputs(&mut member), [], "it is not there yet");
    member.on_message(now, B, flow_type::POSTING, &value);
    let posted = Output::Event(GroupEvent::Posting { from: B, id, value: value.clone() });
    assert_eq!(outputs(&mut member), [posted, key(c, KeyMessage::Have(id.key()))]);
    member.on_message(now, c, flow_type::POSTING, &value);
    assert_eq!(outputs(&mut member), [], "it comes once");
    member.on_message(now, c, flow_type::POSTING_KEY, &KeyMessage::Want(id.key()).write());
    assert_eq!(outputs(&mut member), [Output::Send { peer: c, flow_type: flow_type::POSTING, message: value }]);
    let d = far(0xd);
    comes(&mut member, d);
    assert!(outputs(&mut member).contains(&key(d, KeyMessage::Have(id.key()))), "one that comes later is told");
}

#[test]
fn a_peer_that_moves_is_named_where_it_is_if_it_is_a_neighbour() {
    let now = Instant::now();
    let mut member = neighbors(now);
    let (c, stranger) = (far(0xc), far(0xd));
    member.on_session(now, facts(c, 1, 2));
    member.on_message(now, c, flow_type::CONTROL, &ControlMessage::Connect(right()).write());
    member.on_session(now, facts(stranger, 1, 3));
    outputs(&mut member);
    let places = ["198.51.100.7:7", "198.51.100.8:8", "198.51.100.9:9"];
    for (peer, place) in [B, c, stranger].iter().zip(places) {
        member.on_address(now, peer, place.parse().unwrap());
    }
    assert!(member.known.get(&stranger).is_none());
    member.on_message(now, B, flow_type::CONTROL, &[0x0e]);
    let [report] = &reports(&mut member)[..] else { panic!("one report") };
    assert_eq!(report.receiver, Some(named(places[0], Origin::Observed)));
    assert_eq!(report.entries.len(), 1);
    assert!(report.entries[0].peer == c && report.entries[0].addresses.contains(&named(places[1], Origin::Observed)));
}

#[test]
fn a_neighbour_is_known_by_where_it_is_seen_once_and_by_how_fast_it_answers() {
    let now = Instant::now();
    let mut member = neighbors(now);
    (0..3).for_each(|_| says(&mut member, now, Report::default()));
    let known = member.known.get(&B).unwrap();
    assert_eq!((&*known.addresses, known.rtt), (&[named("192.0.2.2:1", Origin::Observed)][..], None));
    member.on_rtt(&B, Duration::from_millis(30));
    assert_eq!(member.known.get(&B).unwrap().rtt, Some(Duration::from_millis(30)));
}

#[test]
fn a_member_that_a_neighbour_names_is_connected_to() {
    let now = Instant::now();
    let mut member = neighbors(now);
    let message = ControlMessage::Member(far(6)).write();
    member.on_message(now, B, flow_type::CONTROL, &message);
    assert_eq!(outputs(&mut member), [Output::Connect { peer: far(6), addresses: Vec::new() }]);
    let mut stranger = Member::new(now, &spec("g"), A, [1; 32]);
    stranger.on_session(now, facts(B, 1, 2));
    stranger.on_message(now, B, flow_type::CONTROL, &message);
    assert_eq!(outputs(&mut stranger), []);
}

/// WIRE.md §3.5: every ten seconds, give or take one.
#[test]
fn upkeep_comes_every_nine_to_eleven_seconds_and_not_always_after_the_same_time() {
    let mut member = Member::new(Instant::now(), &spec("g"), A, [1; 32]);
    let mut waits = Vec::new();
    for _ in 0..50 {
        let due = member.poll_timeout();
        member.handle_timeout(due - Duration::from_millis(1));
        assert_eq!(member.poll_timeout(), due, "it is not due yet");
        member.handle_timeout(due);
        waits.push((member.poll_timeout() - due).as_millis());
    }
    assert!(waits.iter().all(|wait| (9000..11_000).contains(wait)), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait < 9500) && waits.iter().any(|wait| *wait > 10_500), "{waits:?}");
}

#[test]
fn a_neighbour_is_not_named_to_itself() {
    let now = Instant::now();
    let mut member = neighbors(now);
    member.on_message(now, B, flow_type::CONTROL, &[0x0e]);
    let [report] = &reports(&mut member)[..] else { panic!("one report") };
    assert_eq!(report.entries, [], "it is the only member that this one knows");
}

#[test]
fn the_answer_to_a_report_gets_no_answer() {
    let now = Instant::now();
    let mut member = neighbors(now);
    member.on_message(now, B, flow_type::CONTROL, &[0x0e]);
    assert_eq!(reports(&mut member).len(), 1);
    let later = now + Duration::from_secs(6);
    says(&mut member, later, Report::default());
    assert_eq!(reports(&mut member).len(), 0, "this is the answer");
    says(&mut member, later, Report::default());
    assert_eq!(reports(&mut member).len(), 1, "this is a report of its own");
}

#[test]
fn upkeep_reports_to_a_neighbour_and_names_silent_ones_as_long_as_their_sessions_last() {
    let now = Instant::now();
    let mut member = neighbors(now);
    let c = far(0xc);
    member.on_session(now, facts(c, 1, 2));
    member.on_message(now, c, flow_type::CONTROL, &ControlMessage::Connect(right()).write());
    outputs(&mut member);
    let mut told = 0;
    while member.poll_timeout() < now + Duration::from_secs(900) {
        let due = member.poll_timeout();
        member.handle_timeout(due);
        let reports = reports(&mut member);
        told += reports.len();
        assert!(reports.iter().all(|report| report.entries.iter().any(|entry| entry.peer == c && entry.age == 0)));
    }
    assert!((20..80).contains(&told), "{told}: half of some ninety, for the other half goes to the other neighbour");
}
