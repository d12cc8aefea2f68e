//! What a packet of an open session may say, even under the right keys (RFC 7016 §2.2.4, §2.3).

use rtmfp::Event;
use rtmfp::crypto::{Epd, Preferences, Sealer};
use rtmfp::wire::packet::put_chunk;
use rtmfp::wire::{Mode, PacketHeader};

use crate::network::{NodeId, Sim};

const PING: u8 = 0x01;
const IHELLO: u8 = 0x30;
const USER_DATA: u8 = 0x10;
const UNKNOWN: u8 = 0x77;

/// A server and a client whose keys are known.
fn pair(sim: &mut Sim) -> (NodeId, NodeId, Sealer) {
    // There are no sequence numbers: they would have to be guessed.
    let keying = Preferences { log_keys: true, ..Preferences::default() };
    let [client, server] = [1, 2].map(|_| {
        let config = rtmfp::Config::peer(sim.new_identity());
        sim.node(rtmfp::Config { keying, ..config })
    });
    sim.connect(client, server);
    sim.run_for(std::time::Duration::from_secs(3));
    let sealer = sealer_of(sim, client);
    (client, server, sealer)
}

fn sealer_of(sim: &mut Sim, node: NodeId) -> Sealer {
    let keys = sim.get(node).events.iter().find_map(|(_, event)| match event {
        Event::Keys { keys, .. } => Some(keys.keys.clone()),
        _ => None,
    });
    Sealer::new(&keys.expect("the keys of the session"))
}

/// Puts a packet of the client into the network, and counts the packets that the server sends in return.
fn answers(sim: &mut Sim, (client, server): (NodeId, NodeId), plain: &[u8], sealer: &mut Sealer) -> usize {
    let session = sim.session(server, client).get();
    answers_to(sim, (client, server), plain, sealer, session)
}

/// The same, to any session id.
fn answers_to(
    sim: &mut Sim,
    (client, server): (NodeId, NodeId),
    plain: &[u8],
    sealer: &mut Sealer,
    session: u32,
) -> usize {
    let mut datagram = Vec::new();
    sealer.begin(&mut datagram);
    datagram.extend_from_slice(plain);
    sealer.finish(session, 0, &mut datagram);
    let (from, to) = (sim.address(client), sim.address(server));
    sim.inject(from, to, &datagram);
    sim.recorded = Some(Vec::new());
    sim.run_for(std::time::Duration::from_secs(1));
    sim.recorded.take().unwrap_or_default().iter().filter(|packet| packet.from == to).count()
}

fn packet(mode: Mode, chunks: &[(u8, &[u8])]) -> Vec<u8> {
    let mut plain = Vec::new();
    PacketHeader::new(mode).put(&mut plain);
    for (kind, payload) in chunks {
        put_chunk(*kind, &mut plain, |out| out.extend_from_slice(payload));
    }
    plain
}

#[test]
fn only_packets_marked_as_the_far_ends_count() {
    let mut sim = Sim::new(1);
    let (client, server, _) = pair(&mut sim);
    let ping: (u8, &[u8]) = (PING, b"hello");
    for (near, far, own, other) in
        [(client, server, Mode::Initiator, Mode::Responder), (server, client, Mode::Responder, Mode::Initiator)]
    {
        let mut sealer = sealer_of(&mut sim, near);
        assert_eq!(answers(&mut sim, (near, far), &packet(own, &[ping]), &mut sealer), 1);
        let before = sim.get(far).endpoint.counters().malformed;
        for mode in [other, Mode::Startup] {
            assert_eq!(answers(&mut sim, (near, far), &packet(mode, &[ping]), &mut sealer), 0, "{own:?} {mode:?}");
        }
        let mut nothing = packet(own, &[ping]);
        nothing[0] = 0;
        assert_eq!(answers(&mut sim, (near, far), &nothing, &mut sealer), 0, "mode 0");
        assert_eq!(sim.get(far).endpoint.counters().malformed, before + 3);
    }
}

#[test]
fn a_hello_counts_in_a_packet_marked_as_a_startup_packet_only() {
    let mut sim = Sim::new(3);
    let (client, server, _) = pair(&mut sim);
    let hello = [&[34][..], &Epd::fingerprint(sim.peer_id(server)), &[7; 64]].concat();
    for (mode, expected) in [(Mode::Startup, 1), (Mode::Initiator, 0), (Mode::Responder, 0)] {
        let plain = packet(mode, &[(IHELLO, &hello)]);
        assert_eq!(answers_to(&mut sim, (client, server), &plain, &mut Sealer::startup(), 0), expected, "{mode:?}");
    }
}

#[test]
fn a_chunk_unknown_misplaced_or_malformed_does_not_spoil_the_next() {
    let mut sim = Sim::new(2);
    let (client, server, mut sealer) = pair(&mut sim);
    for bad in [(UNKNOWN, &b"whatever"[..]), (IHELLO, &[2, 1, 1, 7]), (USER_DATA, &[0x80]), (USER_DATA, b"")] {
        let alone = packet(Mode::Initiator, &[bad]);
        assert_eq!(answers(&mut sim, (client, server), &alone, &mut sealer), 0, "{bad:?}");
        let followed = packet(Mode::Initiator, &[bad, (PING, b"hello")]);
        assert_eq!(answers(&mut sim, (client, server), &followed, &mut sealer), 1, "{bad:?}");
    }
    assert!(sim.is_connected(client, server));
}
