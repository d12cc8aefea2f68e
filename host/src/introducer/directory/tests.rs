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
    assert_eq!(directory.connect(peer, one, INSTANCE, address("[::ffff:192.0.2.1]:5")), None);
    let mut expected =
        Peer { owner: one, instance: INSTANCE, observed: address("192.0.2.1:5"), reported: SmallVec::new() };
    assert_eq!(directory.lookup(&peer), Some(expected.clone()));
    assert_eq!(directory.lookup(&id(2)), None);

    assert!(directory.set_observed(&peer, one, address("[2001:db8::1]:6")));
    assert!(directory.set_reported(&peer, one, &[address("10.0.0.1:5"), address("[fd00::1]:5")]));
    expected.observed = address("[2001:db8::1]:6");
    expected.reported.extend([address("10.0.0.1:5"), address("[fd00::1]:5")]);
    assert_eq!(directory.lookup(&peer), Some(expected));
    assert!(directory.set_reported(&peer, one, &[]));
    assert!(directory.lookup(&peer).unwrap().reported.is_empty());

    assert_eq!(directory.len(), 1);
    assert!(directory.remove(&peer, one));
    assert!(!directory.remove(&peer, one));
    assert!(directory.is_empty());
}

#[test]
fn a_session_that_was_replaced_has_nothing_to_say() {
    let directory = Directory::new();
    let (peer, old, new) = (id(1), owner(0, 7), owner(1, 7));
    directory.connect(peer, old, INSTANCE, address("192.0.2.1:1"));
    directory.set_reported(&peer, old, &[address("10.0.0.1:1")]);
    assert_eq!(directory.connect(peer, new, INSTANCE, address("192.0.2.2:2")), Some(old));
    assert!(!directory.set_observed(&peer, old, address("192.0.2.3:3")));
    assert!(!directory.set_reported(&peer, old, &[address("10.0.0.3:3")]));
    assert!(!directory.remove(&peer, old));
    let expected = Peer { owner: new, instance: INSTANCE, observed: address("192.0.2.2:2"), reported: SmallVec::new() };
    assert_eq!(directory.lookup(&peer), Some(expected));
    assert!(directory.remove(&peer, new));
}

#[test]
fn reported_addresses_are_bounded_and_distinct() {
    let directory = Directory::new();
    directory.connect(id(1), owner(0, 1), INSTANCE, address("192.0.2.1:1"));
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
    directory.connect(peer, own, INSTANCE, address("192.0.2.1:1"));
    let translated = || directory.lookup(&peer).unwrap().is_translated();
    assert!(!translated());
    directory.set_reported(&peer, own, &[address("10.0.0.1:1")]);
    assert!(translated());
    directory.set_reported(&peer, own, &[address("10.0.0.1:1"), address("192.0.2.1:1")]);
    assert!(!translated());
}

#[test]
fn a_peer_takes_one_cache_line() {
    assert_eq!((size_of::<Entry>(), align_of::<Entry>()), (64, 64));
    assert_eq!(size_of::<Shard>(), 64);
    assert_eq!(size_of::<Packed>(), 18);
}

#[test]
fn memory_is_bounded_per_peer_and_given_back() {
    let directory = Directory::new();
    let empty = directory.allocated();
    assert!(empty <= 16 * 1024, "{empty}");
    let count = 60_000;
    for number in 0..count {
        directory.connect(id(number), owner(0, number), INSTANCE, address("192.0.2.1:1"));
    }
    assert_eq!(directory.len(), count as usize);
    // Twice the entries and a byte for each place, at the most: tables double at 7/8.
    let full = directory.allocated();
    assert!(full <= 160 * count as usize, "{full}");
    for number in 0..count {
        assert!(directory.remove(&id(number), owner(0, number)));
    }
    let left = directory.allocated();
    assert!(left <= empty + SHARDS * 2 * SMALL * 66, "{left}");
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
    let (replaced, removed, next, done) =
        (AtomicUsize::new(0), AtomicUsize::new(0), AtomicU32::new(1), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for worker in 0..WRITERS {
            let (directory, replaced, removed, next, done) = (&directory, &replaced, &removed, &next, &done);
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    let sessions: Vec<(u32, SessionId)> =
                        (0..PEERS).map(|peer| (peer, owner(worker, next.fetch_add(1, Ordering::Relaxed)))).collect();
                    for (peer, own) in &sessions {
                        let (observed, reported) = addresses_of(own.get());
                        let before = directory.connect(id(*peer), *own, INSTANCE, observed);
                        replaced.fetch_add(usize::from(before.is_some()), Ordering::Relaxed);
                        directory.set_reported(&id(*peer), *own, &reported);
                    }
                    for (peer, own) in &sessions {
                        removed.fetch_add(usize::from(directory.remove(&id(*peer), *own)), Ordering::Relaxed);
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
    // Whoever connected a peer last also removed it.
    assert!(directory.is_empty());
    let connects = PEERS as usize * ROUNDS as usize * usize::from(WRITERS);
    assert_eq!(replaced.load(Ordering::Relaxed) + removed.load(Ordering::Relaxed), connects);
}
