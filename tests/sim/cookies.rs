//! A cookie earns one session, at one address, once (RFC 7016 §3.5.1.1.2, §3.5.1.2).

use std::time::Duration;

use rtmfp::wire::chunk::{IIKeying, kind};
use rtmfp::{Config, OpenFailure};

use crate::network::{Introduction, NodeId, Packet, Sim, for_seeds, open_startup, seal_startup, startup_kind};

/// Connects, and returns the initiator's keying as it was sent.
fn connect_recorded(sim: &mut Sim, peer: NodeId, server: NodeId) -> Packet {
    sim.recorded = Some(Vec::new());
    sim.connect(peer, server);
    let sent = sim.recorded.take().unwrap_or_default();
    sent.into_iter().find(|packet| startup_kind(&packet.data) == Some(kind::IIKEYING)).expect("a keying")
}

/// The keying, with its cookie changed.
fn with_cookie(packet: &Packet, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let (_, payload) = open_startup(&packet.data).expect("a startup packet");
    let keying = IIKeying::parse(&payload).expect("a keying");
    let mut cookie = keying.cookie_echo.to_vec();
    change(&mut cookie);
    let forged = IIKeying { cookie_echo: &cookie, ..keying };
    seal_startup(0, |out| {
        forged.put(out);
    })
}

#[test]
fn a_replayed_keying_opens_nothing() {
    for_seeds(1, |sim| {
        let (peer, server) = (sim.peer(), sim.server());
        let keying = connect_recorded(sim, peer, server);
        for _ in 0..1000 {
            sim.inject(keying.from, keying.to, &keying.data);
        }
        sim.run_for(Duration::from_secs(1));
        assert_eq!((sim.session_count(server), sim.get(server).keying_jobs), (1, 1));
        // The same once the session is gone, while the cookie is still valid.
        let id = sim.session(peer, server);
        sim.with(peer, |endpoint, now| endpoint.abort(now, id));
        sim.run_for(Duration::from_secs(1));
        sim.inject(keying.from, keying.to, &keying.data);
        sim.run_for(Duration::from_secs(1));
        assert_eq!((sim.session_count(server), sim.get(server).keying_jobs), (0, 1));
        // The same once the cookie has expired.
        sim.run_for(Duration::from_secs(95));
        sim.inject(keying.from, keying.to, &keying.data);
        sim.run_for(Duration::from_secs(1));
        assert_eq!((sim.session_count(server), sim.get(server).keying_jobs), (0, 1));
        assert_eq!(sim.get(server).endpoint.counters().bad_cookies, 1);
    });
}

#[test]
fn a_keying_replayed_from_elsewhere_earns_a_cookie_change_only() {
    for_seeds(1, |sim| {
        let (peer, server) = (sim.peer(), sim.server());
        let keying = connect_recorded(sim, peer, server);
        sim.recorded = Some(Vec::new());
        let elsewhere = "192.0.2.66:6666".parse().unwrap();
        sim.inject(elsewhere, keying.to, &keying.data);
        sim.run_for(Duration::from_secs(1));
        assert_eq!((sim.session_count(server), sim.get(server).keying_jobs), (1, 1));
        let answers = sim.recorded.take().unwrap_or_default();
        let to_elsewhere: Vec<_> = answers.iter().filter(|packet| packet.to == elsewhere).collect();
        assert_eq!(to_elsewhere.len(), 1);
        assert_eq!(startup_kind(&to_elsewhere[0].data), Some(kind::COOKIE_CHANGE));
        assert!(to_elsewhere[0].data.len() < keying.data.len(), "no amplification");
    });
}

#[test]
fn a_forged_cookie_earns_nothing() {
    for_seeds(1, |sim| {
        let (peer, server) = (sim.peer(), sim.server());
        let keying = connect_recorded(sim, peer, server);
        sim.recorded = Some(Vec::new());
        for at in 0..64 {
            let forged = with_cookie(&keying, |cookie| cookie[at] ^= 1);
            sim.inject(keying.from, keying.to, &forged);
        }
        for len in [0, 1, 63, 65, 1000] {
            let forged = with_cookie(&keying, |cookie| cookie.resize(len, 0));
            sim.inject(keying.from, keying.to, &forged);
        }
        sim.run_for(Duration::from_millis(500));
        assert_eq!((sim.session_count(server), sim.get(server).keying_jobs), (1, 1));
        // A change in what binds the cookie to its address looks like another address.
        let changes = sim.recorded.take().unwrap_or_default();
        assert!(changes.iter().all(|packet| startup_kind(&packet.data) == Some(kind::COOKIE_CHANGE)));
        assert_eq!(changes.len(), 32);
    });
}

#[test]
fn an_initiator_with_two_addresses_gets_a_new_cookie() {
    for_seeds(5, |sim| {
        let (server, responder) = (sim.server(), sim.peer());
        // The redirect would bring about a hello from the right address: only the forwarded one is to arrive.
        sim.get_mut(server).introduction = Introduction { redirects: false, forwards: true };
        sim.connect(responder, server);
        let identity = sim.new_identity();
        let initiator = sim.multihomed(Config::peer(identity), 2);
        let direct = sim.address(responder).ip();
        sim.get_mut(initiator).routes.push((direct, 1));
        let by = sim.address(server);
        sim.open_by(initiator, responder, &[by]);
        sim.run_until(|sim| sim.is_connected(initiator, responder));
        assert_eq!(sim.get(responder).endpoint.counters().cookie_changes, 1);
        // RFC 7016 §3.5.1.2: both are in S_OPEN, once.
        assert_eq!((sim.times_opened(initiator), sim.session_count(initiator)), (1, 1));
        assert_eq!(sim.session_count(responder), 2, "the server's and the initiator's");
        let id = sim.session(responder, initiator);
        let far_address = sim.get(responder).endpoint.session(id).unwrap().far_address;
        assert_eq!(far_address, sim.get(initiator).addresses[1]);
    });
}

/// An initiator that sends from another address so many times, each time before the cookie for the last one has arrived. Gives the
/// cookies that it sent, one after the other.
fn cookies_sent(sim: &mut Sim, changes: usize) -> Vec<Vec<u8>> {
    let responder = sim.peer();
    let identity = sim.new_identity();
    let initiator = sim.multihomed(Config::peer(identity), 3);
    sim.recorded = Some(Vec::new());
    let id = sim.open(initiator, responder);
    let to = sim.address(responder);
    sim.run_until(|sim| sim.get(responder).endpoint.counters().hellos > 0);
    for change in 1..=changes {
        sim.get_mut(initiator).routes = vec![(to.ip(), change)];
        sim.run_until(|sim| sim.get(responder).endpoint.counters().cookie_changes >= change as u64);
    }
    sim.run_until(|sim| sim.is_connected(initiator, responder) || sim.failure(initiator, id).is_some());
    let is_open = sim.is_connected(initiator, responder);
    assert_eq!(is_open, changes < 2, "after {changes} changes");
    if !is_open {
        let reason = sim.failure(initiator, id);
        assert!(matches!(reason, Some(OpenFailure::KeyingUnanswered(address)) if address == to), "{reason:?}");
        // RFC 7016 §3.5.1.1.1: S_OPEN_FAILED at one end, nothing at the other, and no attempt goes on.
        assert_eq!((sim.session_count(initiator), sim.session_count(responder)), (0, 0));
    }
    let sent = sim.recorded.iter().flatten().filter_map(|packet| open_startup(&packet.data));
    let keyings = sent.filter(|(kind, _)| *kind == kind::IIKEYING);
    keyings.map(|(_, payload)| IIKeying::parse(&payload).expect("a keying").cookie_echo.to_vec()).collect()
}

#[test]
fn a_cookie_is_changed_once_only() {
    for_seeds(1, |sim| {
        let mut cookies = cookies_sent(sim, 1);
        cookies.dedup();
        assert_eq!(cookies.len(), 2, "the first change is adopted, and opens the session");
    });
    for_seeds(1, |sim| {
        let mut cookies = cookies_sent(sim, 2);
        assert!(cookies.len() > 5, "the keying is repeated: {}", cookies.len());
        cookies.dedup();
        assert_eq!(cookies.len(), 2, "the second is not adopted");
        assert!(
            sim.recorded
                .iter()
                .flatten()
                .filter(|packet| startup_kind(&packet.data) == Some(kind::COOKIE_CHANGE))
                .count()
                > 5
        );
    });
}

#[test]
fn used_cookies_are_forgotten_while_no_new_handshake_comes() {
    for_seeds(1, |sim| {
        let (peer, server) = (sim.peer(), sim.server());
        sim.connect(peer, server);
        assert_eq!(sim.get(server).endpoint.used_cookies(), 1);
        sim.run_for(Duration::from_secs(90));
        assert_eq!(sim.get(server).endpoint.used_cookies(), 1);
        // The session's keepalives wake the server.
        sim.run_for(Duration::from_secs(100));
        assert_eq!(sim.get(server).endpoint.used_cookies(), 0);
        assert!(sim.is_connected(peer, server));
    });
}
