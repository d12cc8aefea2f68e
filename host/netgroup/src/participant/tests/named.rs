//! Permanent neighbours, and introductions by members.

use super::*;
use crate::participant::{MAX_NAME_ADDRESSES, MAX_NAMES, NameError, SILENCE_LIMIT};

const SECOND: Duration = Duration::from_secs(1);

impl Network {
    fn empty() -> Self {
        Self::of(0)
    }

    fn join(&mut self, number: u8, group: &Groupspec) {
        assert!(self.with(number, |groups, context| groups.join(context, group)));
        self.settle();
    }

    fn seek(&mut self, number: u8, group: &Groupspec, name: &str, at: &[u8]) {
        let addresses: Vec<_> = at.iter().copied().map(address).collect();
        self.with(number, |groups, context| groups.add_named(context, &group.digest(), name, &addresses)).unwrap();
        self.settle();
    }

    fn found(&mut self, number: u8, group: &Groupspec, name: &str) -> Option<PeerId> {
        let participant = &self.node(number).participant;
        participant.named(&group.digest()).find(|(known, _)| *known == name).expect("the name is sought").1
    }
}

/// The first hello for a short name earns no answer that is much longer; the second one does, and comes a second later.
const ANSWERED: Duration = Duration::from_secs(2);

/// Two endpoints, `a` and `b`, of which `a` has found `b`.
fn pair(group: &Groupspec) -> Network {
    let mut network = Network::empty();
    network.start(1, Some("a"), 1);
    network.start(2, Some("b"), 2);
    network.join(1, group);
    network.join(2, group);
    network.seek(1, group, "b", &[2]);
    network.run_for(ANSWERED);
    network
}

#[test]
fn a_member_is_found_by_its_name_and_both_are_neighbours() {
    let group = spec("servers");
    let mut network = pair(&group);
    let (a, b) = (network.id(1), network.id(2));
    assert_eq!((network.neighbors(1, &group), network.neighbors(2, &group)), (vec![b], vec![a]));
    let connected = [Notice::Named { peer: b, name: "b".to_owned() }, Notice::Event(GroupEvent::NeighborConnected(b))];
    assert_eq!(network.node(1).notices[..2], connected);
    assert_eq!(network.found(1, &group, "b"), Some(b));
    // When the other seeks this one, nothing has to be opened.
    let sent = network.sent;
    network.seek(2, &group, "a", &[1]);
    assert_eq!((network.found(2, &group, "a"), network.sent), (Some(a), sent));
}

#[test]
fn one_that_comes_by_itself_is_known_by_its_name() {
    let group = spec("servers");
    let mut network = Network::empty();
    network.start(1, Some("a"), 1);
    network.join(1, &group);
    network.seek(1, &group, "b", &[]);
    network.run_for(100 * SECOND);
    network.start(2, Some("b"), 2);
    network.join(2, &group);
    network.seek(2, &group, "a", &[1]);
    network.run_for(ANSWERED);
    let b = network.id(2);
    assert_eq!(network.found(1, &group, "b"), Some(b));
    assert!(network.node(1).notices.contains(&Notice::Named { peer: b, name: "b".to_owned() }));
}

#[test]
fn an_endpoint_of_another_name_does_not_answer() {
    let group = spec("servers");
    let mut network = pair(&group);
    network.seek(1, &group, "c", &[2]);
    network.run_for(60 * SECOND);
    assert_eq!(network.found(1, &group, "c"), None);
    assert_eq!(network.node(2).endpoint.session_count(), 1);
    // An endpoint that has no name at all does not either.
    network.start(3, None, 3);
    network.join(3, &group);
    network.seek(1, &group, "d", &[3]);
    network.run_for(60 * SECOND);
    assert_eq!((network.found(1, &group, "d"), network.node(3).endpoint.session_count()), (None, 0));
}

#[test]
fn a_name_in_another_group_is_no_neighbour_and_is_tried_for_ever_at_a_bounded_cost() {
    let (group, other) = (spec("servers"), spec("others"));
    let mut network = Network::empty();
    network.start(1, Some("a"), 1);
    network.start(2, Some("b"), 2);
    network.join(1, &group);
    network.join(2, &other);
    network.seek(1, &group, "b", &[2]);
    network.run_for(3600 * SECOND);
    assert!(network.neighbors(1, &group).is_empty() && network.neighbors(2, &other).is_empty());
    let known = network.node(2).participant.member(&other.digest()).unwrap().estimated_members();
    assert_eq!(known, 1, "it learns nothing");
    let sent = network.sent;
    network.run_for(3600 * SECOND);
    let in_an_hour = network.sent - sent;
    assert!((1..6000).contains(&in_an_hour), "{in_an_hour}");
    // After hours it joins the right group, and is found.
    network.join(2, &group);
    network.run_for(45 * SECOND);
    assert_eq!(network.found(1, &group, "b"), Some(network.id(2)));
}

#[test]
fn one_that_is_lost_is_found_when_it_is_there_again_also_after_hours_and_with_another_id() {
    let group = spec("servers");
    for hours in [0, 5] {
        let mut network = pair(&group);
        let before = network.id(2);
        network.kill(2);
        network.run_for(SILENCE_LIMIT + SECOND);
        assert_eq!(network.neighbors(1, &group), []);
        assert!(network.node(1).notices.contains(&Notice::Event(GroupEvent::NeighborDisconnected(before))));
        assert_eq!(network.found(1, &group, "b"), None);
        let sent = network.sent;
        network.run_for(hours * 3600 * SECOND);
        assert!(network.sent - sent <= hours as usize * 600, "{}", network.sent - sent);
        network.start(2, Some("b"), 7);
        network.join(2, &group);
        let b = network.id(2);
        assert_ne!(before, b);
        // The longest wait and its variation, and one attempt.
        network.run_for(60 * SECOND);
        assert_eq!((network.neighbors(1, &group), network.found(1, &group, "b")), (vec![b], Some(b)), "{hours} h");
        let member = network.node(1).participant.member(&group.digest()).unwrap();
        assert!(!member.uses(&before), "the old ID is not sought any more");
    }
}

#[test]
fn an_orderly_end_is_noticed_at_once() {
    let group = spec("servers");
    let mut network = pair(&group);
    let now = network.now;
    network.node(2).endpoint.close_all(now);
    network.settle();
    assert_eq!(network.neighbors(1, &group), []);
}

#[test]
fn the_own_name_is_not_sought() {
    let group = spec("servers");
    let mut network = Network::empty();
    network.start(1, Some("a"), 1);
    network.join(1, &group);
    network.seek(1, &group, "a", &[1, 2]);
    network.run_for(600 * SECOND);
    assert_eq!((network.sent, network.found(1, &group, "a")), (0, None));
}

#[test]
fn of_several_names_at_one_address_the_right_one_is_found() {
    let group = spec("servers");
    let mut network = pair(&group);
    for name in ["c", "d"] {
        network.seek(1, &group, name, &[2]);
    }
    network.start(3, Some("c"), 3);
    network.join(3, &group);
    network.seek(1, &group, "c", &[2, 3]);
    network.run_for(60 * SECOND);
    let found = ["b", "c", "d"].map(|name| network.found(1, &group, name));
    assert_eq!(found, [Some(network.id(2)), Some(network.id(3)), None]);
}

#[test]
fn of_two_endpoints_with_one_name_one_is_permanent_and_the_other_takes_its_place() {
    let group = spec("servers");
    let mut network = pair(&group);
    network.start(3, Some("b"), 3);
    network.join(3, &group);
    network.seek(1, &group, "b", &[2, 3]);
    network.run_for(10 * SECOND);
    let (first, second) = (network.id(2), network.id(3));
    assert_eq!(network.found(1, &group, "b"), Some(first));
    network.kill(2);
    network.run_for(SILENCE_LIMIT + 5 * SECOND);
    assert_eq!((network.found(1, &group, "b"), network.neighbors(1, &group)), (Some(second), vec![second]));
}

#[test]
fn both_seek_each_other_at_once() {
    let group = spec("servers");
    let mut network = Network::empty();
    for (number, name) in [(1, "a"), (2, "b")] {
        network.start(number, Some(name), number.into());
        assert!(network.with(number, |groups, context| groups.join(context, &group)));
    }
    for (number, name, at) in [(1, "b", 2), (2, "a", 1)] {
        let at = [address(at)];
        network.with(number, |groups, context| groups.add_named(context, &group.digest(), name, &at)).unwrap();
    }
    network.run_for(10 * SECOND);
    let (a, b) = (network.id(1), network.id(2));
    assert_eq!((network.found(1, &group, "b"), network.found(2, &group, "a")), (Some(b), Some(a)));
    assert_eq!((network.node(1).endpoint.session_count(), network.neighbors(1, &group).len()), (1, 1));
}

#[test]
fn a_name_that_is_removed_drops_no_connection_and_is_not_sought_again() {
    let group = spec("servers");
    let mut network = pair(&group);
    let b = network.id(2);
    let removed = |network: &mut Network, name| {
        network.with(1, |groups, context| groups.remove_named(context, &group.digest(), name))
    };
    assert!(removed(&mut network, "b") && !removed(&mut network, "b"));
    network.run_for(60 * SECOND);
    assert_eq!(network.neighbors(1, &group), [b]);
    network.kill(2);
    network.run_for(400 * SECOND);
    let sent = network.sent;
    network.run_for(3600 * SECOND);
    assert_eq!(network.sent, sent);
    // Neither is one that is being called, nor one of a group that is left.
    for leaves in [false, true] {
        network.seek(1, &group, "b", &[2]);
        assert_eq!(network.node(1).endpoint.session_count(), 1);
        if leaves {
            network.with(1, |groups, context| groups.leave(context, &group.digest()));
        } else {
            removed(&mut network, "b");
        }
        network.settle();
        assert_eq!(network.node(1).endpoint.session_count(), 0, "{leaves}");
    }
}

#[test]
fn names_and_their_addresses_are_bounded() {
    let group = spec("servers");
    let mut network = Network::empty();
    network.start(1, Some("a"), 1);
    let add = |network: &mut Network, name: &str, addresses: &[SocketAddr]| {
        network.with(1, |groups, context| groups.add_named(context, &group.digest(), name, addresses))
    };
    assert_eq!(add(&mut network, "b", &[]), Err(NameError::NoMember));
    network.join(1, &group);
    assert_eq!([add(&mut network, "", &[]), add(&mut network, &"n".repeat(256), &[])], [Err(NameError::Name); 2]);
    let many: Vec<_> = (0..=255).map(address).collect();
    assert_eq!(add(&mut network, "0", &many), Ok(()));
    network.settle();
    assert_eq!(network.sent, MAX_NAME_ADDRESSES);
    for number in 1..MAX_NAMES {
        assert_eq!(add(&mut network, &number.to_string(), &[]), Ok(()));
    }
    assert_eq!(add(&mut network, "more", &[]), Err(NameError::TooMany));
    assert_eq!(add(&mut network, "5", &[]), Ok(()), "one that is known");
}

/// Two members behind NATs know only a third, which is not, by its name.
fn behind_nats(group: &Groupspec) -> Network {
    let mut network = Network::empty();
    network.start(1, Some("bootstrap"), 1);
    network.join(1, group);
    for number in [2, 3] {
        network.start(number, None, number.into());
        network.behind_nat.insert(address(number), Vec::new());
        network.join(number, group);
        network.seek(number, group, "bootstrap", &[1]);
    }
    network
}

#[test]
fn members_behind_nats_are_introduced_by_a_neighbour_of_both() {
    let group = spec("servers");
    let mut network = behind_nats(&group);
    network.run_for(60 * SECOND);
    let (second, third) = (network.id(2), network.id(3));
    assert!(network.neighbors(2, &group).contains(&third) && network.neighbors(3, &group).contains(&second));
    let introductions = network.node(1).participant.take_counters().introductions;
    assert!((1..10).contains(&introductions), "{introductions}");
    // The one that has introduced them is not needed any more.
    network.kill(1);
    network.run_for(60 * SECOND);
    assert_eq!(network.neighbors(2, &group), [third]);
}

#[test]
fn only_neighbours_of_one_group_are_introduced_and_at_a_bounded_rate() {
    let (group, other) = (spec("servers"), spec("others"));
    let mut network = behind_nats(&group);
    let target = network.id(2);
    let ask = |network: &mut Network, number: u8| {
        let (now, epd) = (network.now, Epd::fingerprint(target).to_vec());
        network.node(1).participant.take_counters();
        network.node(number).endpoint.open(now, epd, &[(ONLY, address(1))]).unwrap();
        network.settle();
        network.node(1).participant.take_counters()
    };
    // A stranger, one with a session that is in no group, and a member of another group that the introducer is in, too.
    network.start(4, None, 4);
    assert_eq!(ask(&mut network, 4).introductions, 0);
    network.open(4, 1);
    assert_eq!(ask(&mut network, 4).introductions, 0);
    network.start(5, None, 5);
    network.join(1, &other);
    network.join(5, &other);
    network.seek(5, &other, "bootstrap", &[1]);
    network.run_for(ANSWERED);
    assert_eq!(network.neighbors(5, &other).len(), 1);
    assert_eq!(ask(&mut network, 5).introductions, 0);
    // A neighbour, again and again: its hellos alone are delivered, so that no session comes of them.
    network.run_for(60 * SECOND);
    network.node(1).participant.take_counters();
    let (mut done, mut refused) = (0, 0);
    for _ in 0..200 {
        let (now, epd) = (network.now, Epd::fingerprint(target).to_vec());
        let endpoint = &mut network.node(3).endpoint;
        let session = endpoint.open(now, epd, &[(ONLY, address(1))]).unwrap();
        let mut datagram = Vec::new();
        assert_eq!(endpoint.poll_transmit(now, &mut datagram).map(|transmit| transmit.to), Some(address(1)));
        endpoint.close(now, session);
        network.node(1).endpoint.handle_datagram(now, ONLY, address(3), &mut datagram);
        let events: Vec<Event> = std::iter::from_fn(|| network.node(1).endpoint.poll_event()).collect();
        for event in events {
            network.with(1, |groups, context| groups.handle_event(context, &event));
        }
        let counters = network.node(1).participant.take_counters();
        (done, refused) = (done + counters.introductions, refused + counters.introductions_refused);
    }
    assert_eq!((done, done + refused), (64, 200));
}
