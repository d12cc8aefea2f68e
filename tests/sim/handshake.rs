//! Sessions open, in every way that two ends can agree on.

use std::sync::Arc;

use rtmfp::Config;
use rtmfp::crypto::{Epd, Group, HmacPreference, Identity, Preferences, SequencePreference};
use rtmfp::flow::{Delivery, FlowOptions};

use crate::network::{Sim, ephemeral, fixed, for_seeds};

/// Opens a session between nodes with these settings, and sends a message each way.
fn meet(sim: &mut Sim, initiator: Config, responder: Config) {
    let (a, b) = (sim.node(initiator), sim.node(responder));
    let (at_a, at_b) = sim.connect(a, b);
    let (flow_a, flow_b) = (sim.open_flow(a, b, b"there"), sim.open_flow(b, a, b"back"));
    sim.send(a, b, flow_a, b"hello");
    sim.send(b, a, flow_b, b"welcome");
    sim.run_until(|sim| sim.messages(b) == [b"hello"] && sim.messages(a) == [b"welcome"]);
    let info = |node, id| sim.get(node).endpoint.session(id).expect("an open session");
    let (one, other) = (info(a, at_a), info(b, at_b));
    assert_eq!((one.near_nonce, one.far_nonce), (other.far_nonce, other.near_nonce));
    assert_ne!(one.near_nonce, one.far_nonce);
    assert_eq!((one.peer_id, other.peer_id), (sim.peer_id(b), sim.peer_id(a)));
    assert!(one.is_initiator && !other.is_initiator);
    assert_eq!((sim.session_count(a), sim.session_count(b)), (1, 1));
    assert_eq!((sim.times_opened(a), sim.times_opened(b)), (1, 1));
}

#[test]
fn any_pairing_of_static_and_ephemeral_keys_in_any_group_opens() {
    for group in [Group::Modp2, Group::Modp5, Group::Modp14] {
        let identities = |number| -> [Arc<Identity>; 2] { [fixed(number, &[group]), ephemeral(number, &[group])] };
        for initiator in identities(1) {
            for responder in identities(2) {
                meet(&mut Sim::new(1), Config::peer(Arc::clone(&initiator)), Config::server(vec![responder]));
            }
        }
    }
}

#[test]
fn any_agreement_on_hmacs_and_sequence_numbers_opens() {
    let choices = [(false, false, false), (false, true, false), (true, true, true), (false, true, true)];
    let every: Vec<Preferences> = choices
        .into_iter()
        .flat_map(|hmac| choices.map(|sequence| (hmac, sequence)))
        .map(|((always, on_request, request), (sequence_always, sequence_on_request, sequence_request))| Preferences {
            hmac: HmacPreference {
                will_send_always: always,
                will_send_on_request: on_request,
                request,
                require: false,
                length: if always { 4 } else { 32 },
            },
            sequence: SequencePreference {
                will_send_always: sequence_always,
                will_send_on_request: sequence_on_request,
                request: sequence_request,
                require: false,
            },
            log_keys: false,
        })
        .collect();
    for initiator in &every {
        // All pairs would take long: each choice is paired with itself and with both ends of the list.
        for responder in [initiator, &every[0], &every[15], &every[10]] {
            let (near, far) = (ephemeral(1, &[Group::Modp2]), ephemeral(2, &[Group::Modp2]));
            let a = Config { keying: *initiator, ..Config::peer(near) };
            let b = Config { keying: *responder, ..Config::server(vec![far]) };
            meet(&mut Sim::new(2), a, b);
        }
    }
}

#[test]
fn a_server_with_several_identities_answers_for_each() {
    let mut sim = Sim::new(3);
    let [first, second] = [1, 2].map(|number| ephemeral(number, &[Group::Modp2]));
    let server = sim.node(Config::server(vec![first, Arc::clone(&second)]));
    let peer = sim.peer();
    let to = sim.address(server);
    let id = sim.open_epd(peer, Epd::fingerprint(second.peer_id()).to_vec(), &[to]);
    sim.run_until(|sim| sim.session_of(server, peer).is_some());
    sim.run_until(|sim| sim.times_opened(peer) == 1);
    assert_eq!(sim.get(peer).endpoint.session(id).unwrap().peer_id, second.peer_id());
}

#[test]
fn a_server_is_found_by_its_uri_or_its_hostname() {
    for_seeds(1, |sim| {
        let named = Identity::ephemeral(&[Group::Modp2], Some("meet.example"), true, &mut seeded(7));
        let server = sim.node(Config::server(vec![Arc::new(named)]));
        let to = sim.address(server);
        for epd in [Epd::ancillary("rtmfp://meet.example/room"), Epd::hostname("meet.example")] {
            let peer = sim.peer();
            sim.open_epd(peer, epd, &[to]);
            sim.run_until(|sim| sim.is_connected(peer, server));
        }
        let peer = sim.peer();
        let id = sim.open_epd(peer, Epd::hostname("meet.example"), &[to]);
        sim.run_until(|sim| sim.session_of(server, peer).is_some() && sim.times_opened(peer) == 1);
        let (far, near) = (sim.session_of(server, peer).unwrap(), &sim.get(peer).endpoint);
        assert_eq!(near.far_hostname(id), Some(&b"meet.example"[..]));
        assert_eq!(sim.get(server).endpoint.far_hostname(far), None);
        let peer = sim.peer();
        sim.open_epd(peer, Epd::hostname("other.example"), &[to]);
        sim.run_until(|sim| sim.lookups(server) == 1);
    });
}

#[test]
fn one_server_has_an_identity_for_each_of_its_hostnames() {
    let mut sim = Sim::new(4);
    let fresh = Identity::ephemeral(&[Group::Modp2], Some("one.example"), false, &mut seeded(1));
    let keys = |number| fixed(number, &[Group::Modp2]).static_key(Group::Modp2).unwrap().clone();
    let static_identity = Identity::from_server_keys(vec![keys(1)], Some("two.example"), true);
    let ids = [fresh.peer_id(), static_identity.peer_id()];
    let server = sim.node(Config::server(vec![Arc::new(fresh), Arc::new(static_identity)]));
    let to = sim.address(server);
    let (uri, name) = (Some(&b"rtmfp://two.example/room"[..]), |name: &'static str| Some(name.as_bytes()));
    for (epd, found) in [
        (Epd { hostname: name("one.example"), ..Epd::default() }, 0),
        (Epd { hostname: name("two.example"), ..Epd::default() }, 1),
        (Epd { hostname: name("two.example"), ancillary_data: uri, ..Epd::default() }, 1),
        (Epd { ancillary_data: uri, ..Epd::default() }, 1),
    ] {
        let peer = sim.peer();
        let id = sim.open_epd(peer, epd.encode(), &[to]);
        sim.run_until(|sim| sim.times_opened(peer) == 1);
        assert_eq!(sim.get(peer).endpoint.session(id).unwrap().peer_id, ids[found], "{epd:?}");
        // The server has keys of the same identity: it reads what the peer sends.
        let before = sim.messages(server).len();
        sim.with(peer, |endpoint, now| {
            let flow = endpoint.open_flow(now, id, b"m", FlowOptions::default()).unwrap();
            endpoint.send(now, id, flow, *b"hello", Delivery::default()).unwrap();
        });
        sim.run_until(|sim| sim.messages(server).len() == before + 1);
    }
}

fn seeded(seed: u64) -> rand_chacha::ChaCha20Rng {
    rand_core::SeedableRng::seed_from_u64(seed)
}
