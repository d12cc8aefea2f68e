mod memory;

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::*;

const INSTANCE: u16 = 5;

fn id(number: u32) -> PeerId {
    let mut bytes = [0x5a; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    PeerId(bytes)
}

fn owner(worker: u8, session: u32) -> SessionId {
    SessionId::from_wire(u32::from(worker) << 26 | session)
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn a_peer_comes_and_goes() {
    let directory = Directory::new();
    let (peer, one) = (id(1), owner(1, 2));
    assert_eq!(directory.lookup(&peer), None);
    assert_eq!(directory.connect(peer, one, INSTANCE, address("[::ffff:192.0.2.1]:5"), false), Arrival::Holds);
    let mut expected = Peer {
        owner: one,
        instance: INSTANCE,
        observed: address("192.0.2.1:5"),
        reported: SmallVec::new(),
        is_silent: false,
    };
    assert_eq!(directory.lookup(&peer), Some(expected.clone()));
    assert_eq!((directory.instance_of(&peer), directory.instance_of(&id(2))), (Some(expected.instance), None));
    assert_eq!(directory.lookup(&id(2)), None);

    assert!(directory.set_observed(&peer, one, address("[2001:db8::1]:6")));
    assert!(directory.set_reported(&peer, one, &[address("10.0.0.1:5"), address("[fd00::1]:5")]));
    expected.observed = address("[2001:db8::1]:6");
    expected.reported.extend([address("10.0.0.1:5"), address("[fd00::1]:5")]);
    assert_eq!(directory.lookup(&peer), Some(expected));
    assert!(directory.set_reported(&peer, one, &[]));
    assert!(directory.lookup(&peer).unwrap().reported.is_empty());

    assert_eq!(directory.len(), 1);
    assert_eq!(directory.remove(&peer, one), Departure::Vacant);
    assert_eq!(directory.remove(&peer, one), Departure::Nothing);
    assert!(directory.is_empty());
}

#[test]
fn the_holders_of_ids_are_told_by_reading_ahead_unless_a_writer_has_their_shard() {
    let directory = Directory::new();
    let count = 3 * READ_TOGETHER as u32 + 1;
    for number in 0..count {
        directory.connect(id(number), owner(1, number), INSTANCE, address("192.0.2.1:1"), false);
    }
    let told = |ids: &[PeerId]| {
        let mut told = Vec::new();
        directory.read_ahead(ids, |session| told.push(session));
        told
    };
    // Each other one is not connected, and one is there twice.
    let ids: Vec<PeerId> = (0..count).flat_map(|number| [id(number), id(number + count)]).chain([id(0)]).collect();
    let expected: Vec<SessionId> = (0..count).chain([0]).map(|number| owner(1, number)).collect();
    assert_eq!((told(&ids), told(&[])), (expected, vec![]));
    let written = directory.write(directory.hash(&id(3)));
    assert_eq!(told(&[id(3)]), []);
    drop(written);
    assert_eq!(told(&[id(3)]), [owner(1, 3)]);
}

fn holder(directory: &Directory, peer: PeerId) -> Option<SessionId> {
    directory.lookup(&peer).map(|peer| peer.owner)
}

fn connect(directory: &Directory, peer: PeerId, owner: SessionId, is_proven: bool) -> Arrival {
    directory.connect(peer, owner, INSTANCE, address("192.0.2.1:1"), is_proven)
}

#[test]
fn who_has_proven_the_id_holds_it_at_once() {
    let directory = Directory::new();
    let (peer, old, new) = (id(1), owner(0, 7), owner(1, 7));
    connect(&directory, peer, old, true);
    directory.set_reported(&peer, old, &[address("10.0.0.1:1")]);
    assert_eq!(directory.connect(peer, new, INSTANCE, address("192.0.2.2:2"), true), Arrival::Replaced(old));
    assert!(!directory.set_observed(&peer, old, address("192.0.2.3:3")));
    assert!(!directory.set_reported(&peer, old, &[address("10.0.0.3:3")]));
    let now = directory.lookup(&peer).unwrap();
    assert_eq!((now.owner, now.observed, now.reported.len()), (new, address("192.0.2.2:2"), 0));
    assert_eq!(directory.len(), 1);

    // The older one lives: it is found again, by what it has said of itself in the meantime.
    let observed = address("192.0.2.3:3");
    let succession = Succession { holder: old, observed, is_contested: false };
    assert_eq!(directory.remove(&peer, new), Departure::Passed(succession));
    let again = directory.lookup(&peer).unwrap();
    assert_eq!((again.owner, again.observed, again.reported[0]), (old, observed, address("10.0.0.3:3")));
    assert_eq!(directory.remove(&peer, old), Departure::Vacant);
}

#[test]
fn a_copy_of_an_id_is_not_found_while_the_first_lives() {
    let directory = Directory::new();
    let (peer, first, copy) = (id(1), owner(0, 7), owner(1, 7));
    connect(&directory, peer, first, false);
    let waits = Arrival::Waits { holder: first, observed: address("192.0.2.1:1") };
    assert_eq!(connect(&directory, peer, copy, false), waits);
    assert!(!directory.set_reported(&peer, copy, &[address("10.0.0.3:3")]));
    assert!(!directory.set_observed(&peer, copy, address("192.0.2.9:9")));
    let found = directory.lookup(&peer).unwrap();
    assert_eq!((found.owner, found.observed, found.reported.len()), (first, address("192.0.2.1:1"), 0));
    assert_eq!(directory.remove(&peer, copy), Departure::Nothing, "nothing changes when it goes");
    assert_eq!(holder(&directory, peer), Some(first));

    connect(&directory, peer, copy, false);
    assert!(matches!(directory.remove(&peer, first), Departure::Passed(next) if next.holder == copy));
    assert_eq!(directory.remove(&peer, copy), Departure::Vacant);
    assert!(directory.is_empty());
}

#[test]
fn an_id_whose_holder_keeps_silent_is_passed_on_and_given_back() {
    let directory = Directory::new();
    let (peer, sessions) = (id(1), [owner(0, 1), owner(0, 2), owner(0, 3)]);
    let [first, second, third] = sessions;
    assert_eq!(directory.pass_over(&peer, first), None);
    connect(&directory, peer, first, false);
    assert_eq!(directory.pass_over(&peer, first), None, "no session waits");
    connect(&directory, peer, second, false);
    assert_eq!(directory.pass_over(&peer, second), None, "it holds nothing");
    let next = directory.pass_over(&peer, first).unwrap();
    assert_eq!((next.holder, next.is_contested), (second, false), "the first is known to be silent");
    connect(&directory, peer, third, false);
    assert_eq!(holder(&directory, peer), Some(second));
    assert_eq!(directory.pass_over(&peer, second).map(|next| next.holder), Some(third));
    assert_eq!(directory.pass_over(&peer, third), None, "all others are silent too");
    assert_eq!(directory.take_back(&peer, first).map(|next| next.holder), Some(first));
    assert_eq!(directory.take_back(&peer, second), None, "the first lives");
    assert_eq!(directory.take_back(&peer, first), None, "it has it");
    assert_eq!(holder(&directory, peer), Some(first));
    // The newest session that is not silent is next.
    assert!(
        matches!(directory.remove(&peer, first), Departure::Passed(next) if next.holder == third && next.is_contested)
    );
    assert_eq!(directory.remove(&peer, second), Departure::Nothing);
    assert_eq!(directory.remove(&peer, third), Departure::Vacant);
    assert_eq!(
        directory.shard(directory.hash(&peer)).0.read().unwrap().rivals.as_ref().map(|rivals| rivals.len()),
        None
    );
}

#[test]
fn those_who_wait_are_few_and_the_silent_are_forgotten_first() {
    let directory = Directory::new();
    let peer = id(1);
    let last = MAX_WAITING as u32;
    for number in 0..=last {
        connect(&directory, peer, owner(0, number), false);
    }
    directory.set_silent(&peer, owner(0, 3), true);
    connect(&directory, peer, owner(0, last + 1), false);
    connect(&directory, peer, owner(0, last + 2), false);
    // 3 was silent, and 1 waited longest.
    let mut order = Vec::new();
    while let Some(holder) = holder(&directory, peer) {
        order.push(holder);
        directory.remove(&peer, holder);
    }
    let expected = std::iter::once(0).chain((4..=last + 2).rev()).chain([2]);
    assert_eq!(order, expected.map(|number| owner(0, number)).collect::<Vec<_>>());
    assert_eq!(order.len(), 1 + MAX_WAITING);
}

#[test]
fn a_silent_holder_is_known_as_such_and_keeps_its_id() {
    let directory = Directory::new();
    let (peer, own) = (id(1), owner(0, 1));
    connect(&directory, peer, own, false);
    for is_silent in [false, true, true, false, true] {
        directory.set_silent(&peer, own, is_silent);
        assert_eq!(directory.lookup(&peer).unwrap().is_silent, is_silent);
    }
    directory.set_silent(&id(2), own, true);
    directory.set_silent(&peer, owner(0, 2), true);
    assert!(directory.lookup(&peer).unwrap().is_silent && directory.lookup(&id(2)).is_none());
    assert_eq!(directory.remove(&peer, own), Departure::Vacant);
    connect(&directory, peer, own, false);
    assert!(!directory.lookup(&peer).unwrap().is_silent);
}

#[test]
fn reported_addresses_are_bounded_and_distinct() {
    let directory = Directory::new();
    directory.connect(id(1), owner(0, 1), INSTANCE, address("192.0.2.1:1"), false);
    let many: Vec<SocketAddr> = (0..100u8).map(|number| SocketAddr::from(([10, 0, 0, number / 2], 1))).collect();
    directory.set_reported(&id(1), owner(0, 1), &many);
    let reported = directory.lookup(&id(1)).unwrap().reported;
    let expected: Vec<SocketAddr> = (0..16u8).map(|number| SocketAddr::from(([10, 0, 0, number], 1))).collect();
    assert_eq!(reported.as_slice(), expected);
}

#[test]
fn translation_is_known_only_from_reports() {
    let directory = Directory::new();
    let (peer, own) = (id(1), owner(0, 1));
    directory.connect(peer, own, INSTANCE, address("192.0.2.1:1"), false);
    let translated = || directory.lookup(&peer).unwrap().is_translated();
    assert!(!translated());
    directory.set_reported(&peer, own, &[address("10.0.0.1:1")]);
    assert!(translated());
    directory.set_reported(&peer, own, &[address("10.0.0.1:1"), address("192.0.2.1:1")]);
    assert!(!translated());
}

/// The addresses that every session with this number has, so that a mixture of two would show.
fn addresses_of(session: u32) -> (SocketAddr, [SocketAddr; 2]) {
    let [_, b, c, d] = session.to_be_bytes();
    let of = |net: u8, port: u16| SocketAddr::from(([net, b, c, d], port));
    (of(100, 1), [of(10, 2), of(11, 3)])
}

#[test]
fn many_threads_see_whole_entries_and_lose_none() {
    const PEERS: u32 = 300;
    const ROUNDS: u32 = 60;
    const WRITERS: u8 = 4;
    let directory = Directory::new();
    let (entered, vacated, next, done) =
        (AtomicUsize::new(0), AtomicUsize::new(0), AtomicU32::new(1), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for worker in 0..WRITERS {
            let (directory, entered, vacated, next, done) = (&directory, &entered, &vacated, &next, &done);
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    let sessions: Vec<(u32, SessionId)> =
                        (0..PEERS).map(|peer| (peer, owner(worker, next.fetch_add(1, Ordering::Relaxed)))).collect();
                    for (peer, own) in &sessions {
                        let (observed, reported) = addresses_of(own.get());
                        let arrival = directory.connect(id(*peer), *own, INSTANCE, observed, peer % 2 == 0);
                        entered.fetch_add(usize::from(arrival == Arrival::Holds), Ordering::Relaxed);
                        directory.set_reported(&id(*peer), *own, &reported);
                    }
                    for (peer, own) in &sessions {
                        let departure = directory.remove(&id(*peer), *own);
                        vacated.fetch_add(usize::from(departure == Departure::Vacant), Ordering::Relaxed);
                    }
                }
                done.fetch_add(1, Ordering::Release);
            });
        }
        for _ in 0..2 {
            let (directory, done) = (&directory, &done);
            scope.spawn(move || {
                while done.load(Ordering::Acquire) < usize::from(WRITERS) {
                    for found in (0..PEERS).filter_map(|peer| directory.lookup(&id(peer))) {
                        let (observed, reported) = addresses_of(found.owner.get());
                        assert_eq!(found.observed, observed);
                        assert!(found.reported.is_empty() || found.reported.as_slice() == reported);
                    }
                }
            });
        }
    });
    // No worker has two sessions of a peer at a time, so no session had to be forgotten; and all sessions have ended.
    assert!(directory.is_empty() && usize::from(WRITERS) <= 1 + MAX_WAITING);
    assert_eq!(entered.load(Ordering::Relaxed), vacated.load(Ordering::Relaxed));
}

/// The rivals for an id that the directory keeps beside its entry: how many sessions wait, if there are any.
fn kept_beside(directory: &Directory, peer: PeerId) -> Option<usize> {
    let hash = directory.hash(&peer);
    directory.read(hash).rivals(hash, &peer).map(|rivals| rivals.waiting.len())
}

#[test]
fn nothing_is_kept_beside_an_entry_when_the_other_sessions_have_gone() {
    let (peer, [first, second, third]) = (id(1), [owner(0, 1), owner(0, 2), owner(0, 3)]);
    let rivals = |is_proven| {
        let directory = Directory::new();
        for session in [first, second, third] {
            connect(&directory, peer, session, is_proven);
        }
        assert_eq!(kept_beside(&directory, peer), Some(2));
        directory
    };
    // Those that wait go first.
    let directory = rivals(false);
    assert_eq!(directory.remove(&peer, third), Departure::Nothing);
    assert_eq!(kept_beside(&directory, peer), Some(1), "one waits yet");
    assert_eq!(directory.remove(&peer, second), Departure::Nothing);
    assert_eq!(kept_beside(&directory, peer), None);
    // The holders go first.
    let directory = rivals(true);
    for session in [third, second] {
        assert!(matches!(directory.remove(&peer, session), Departure::Passed(_)));
    }
    assert_eq!((kept_beside(&directory, peer), holder(&directory, peer)), (None, Some(first)));
    assert_eq!(directory.remove(&peer, first), Departure::Vacant);
    // A holder that was silent, and sends again or goes.
    let directory = Directory::new();
    connect(&directory, peer, first, false);
    directory.set_silent(&peer, first, true);
    directory.set_silent(&peer, first, false);
    assert_eq!(kept_beside(&directory, peer), None);
    directory.set_silent(&peer, first, true);
    assert_eq!(directory.take_back(&peer, first), None, "it holds the id");
    assert_eq!(kept_beside(&directory, peer), None);
    directory.set_silent(&peer, first, true);
    assert_eq!(directory.remove(&peer, first), Departure::Vacant);
    assert_eq!(kept_beside(&directory, peer), None);
}

#[test]
fn a_session_that_has_gone_gets_no_id_and_its_silence_is_forgotten() {
    let (peer, [first, second, third]) = (id(1), [owner(0, 1), owner(0, 2), owner(0, 3)]);
    let directory = Directory::new();
    for session in [first, second, third] {
        connect(&directory, peer, session, false);
    }
    directory.set_silent(&peer, third, true);
    directory.remove(&peer, third);
    assert!(matches!(directory.remove(&peer, first), Departure::Passed(next) if next.holder == second));
    assert_eq!(kept_beside(&directory, peer), None, "no silent session is left");
    // A session that comes with the number of one that has gone is a new one.
    connect(&directory, peer, third, false);
    let next = directory.pass_over(&peer, second).unwrap();
    assert_eq!((next.holder, next.is_contested), (third, false));
}

#[test]
fn an_id_passes_to_the_newest_session_that_is_not_silent_and_else_to_the_newest() {
    let (peer, sessions) = (id(1), [owner(0, 1), owner(0, 2), owner(0, 3), owner(0, 4)]);
    for is_proven in [false, true] {
        let directory = Directory::new();
        for session in sessions {
            connect(&directory, peer, session, is_proven);
        }
        let [holder_first, rest @ ..] =
            if is_proven { [sessions[3], sessions[0], sessions[1], sessions[2]] } else { sessions };
        // The newest of those that wait is silent.
        directory.set_silent(&peer, rest[2], true);
        let next = directory.remove(&peer, holder_first);
        assert!(matches!(next, Departure::Passed(next) if next.holder == rest[1]), "{is_proven}: {next:?}");
        directory.set_silent(&peer, rest[0], true);
        let next = directory.remove(&peer, rest[1]);
        assert!(matches!(next, Departure::Passed(next) if next.holder == rest[2] && !next.is_contested), "{next:?}");
        assert!(directory.lookup(&peer).unwrap().is_silent, "it is still known to be silent");
    }
}

#[test]
fn a_session_that_connects_again_replaces_its_own_entry() {
    let (directory, peer, own) = (Directory::new(), id(1), owner(0, 1));
    connect(&directory, peer, own, false);
    directory.set_reported(&peer, own, &[address("10.0.0.1:1")]);
    assert_eq!(directory.connect(peer, own, INSTANCE + 1, address("192.0.2.2:2"), false), Arrival::Holds);
    let now = directory.lookup(&peer).unwrap();
    assert_eq!((now.instance, now.observed, now.reported.len()), (INSTANCE + 1, address("192.0.2.2:2"), 0));
    assert_eq!(kept_beside(&directory, peer), None);
}

#[test]
fn of_those_who_wait_the_network_with_most_loses_its_oldest() {
    let (directory, peer) = (Directory::new(), id(1));
    let from = |number: u32, network: u8| {
        directory.connect(peer, owner(0, number), INSTANCE, SocketAddr::from(([192, 0, network, 1], 1)), false)
    };
    from(0, 0);
    // One that waits longest and alone in its network, and many of one network.
    from(1, 1);
    for number in 2..=MAX_WAITING as u32 {
        from(number, 2);
    }
    for number in 0..3 {
        from(1000 + number, 3);
    }
    let mut order = Vec::new();
    while let Some(holder) = holder(&directory, peer) {
        order.push(holder);
        directory.remove(&peer, holder);
    }
    assert!(order.contains(&owner(0, 1)) && order.contains(&owner(0, 1002)));
    assert!([2, 3, 4].iter().all(|number| !order.contains(&owner(0, *number))) && order.contains(&owner(0, 5)));
}

#[test]
fn a_newcomer_that_has_proven_the_id_is_known_to_be_silent_and_is_passed_over() {
    let directory = Directory::new();
    let (peer, [first, second, third]) = (id(1), [owner(0, 1), owner(0, 2), owner(0, 3)]);
    for session in [first, second, third] {
        connect(&directory, peer, session, true);
    }
    directory.set_silent(&peer, third, true);
    assert!(directory.lookup(&peer).unwrap().is_silent);
    assert_eq!(directory.pass_over(&peer, third).map(|next| next.holder), Some(second));
    assert!(matches!(directory.remove(&peer, second), Departure::Passed(next) if next.holder == first));
}

#[test]
fn nothing_is_kept_of_a_silent_holder_that_has_gone() {
    let directory = Directory::new();
    let (peer, [first, second, third]) = (id(1), [owner(0, 1), owner(0, 2), owner(0, 3)]);
    for session in [first, second, third] {
        connect(&directory, peer, session, false);
    }
    directory.set_silent(&peer, first, true);
    assert!(matches!(directory.remove(&peer, first), Departure::Passed(next) if next.holder == third));
    assert_eq!(kept_beside(&directory, peer), Some(1), "one waits");
    assert_eq!(directory.remove(&peer, second), Departure::Nothing);
    assert_eq!(kept_beside(&directory, peer), None);
}

#[test]
fn who_takes_an_id_back_is_alive_and_needs_no_other_server_though_others_wait() {
    let directory = Directory::new();
    let (peer, [first, second, third]) = (id(1), [owner(0, 1), owner(0, 2), owner(0, 3)]);
    for session in [first, second, third] {
        connect(&directory, peer, session, false);
    }
    assert_eq!(directory.pass_over(&peer, first).map(|next| (next.holder, next.is_contested)), Some((third, true)));
    let succession = Succession { holder: first, observed: address("192.0.2.1:1"), is_contested: false };
    assert_eq!(directory.take_back(&peer, first), Some(succession));
}
