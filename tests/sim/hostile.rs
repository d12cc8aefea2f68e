//! Whatever strangers send, an endpoint goes on serving, and keeps no memory of them.

use std::net::SocketAddr;
use std::time::Duration;

use rtmfp::InterfaceId;
use rtmfp::crypto::Epd;
use rtmfp::wire::chunk::{IHello, PacketFragment};

use crate::network::{NodeId, Sim, for_seeds, seal_startup};

/// Hands a datagram to a node at once, without a path's delay.
fn throw(sim: &mut Sim, node: NodeId, from: SocketAddr, data: &mut [u8]) {
    sim.with(node, |endpoint, now| endpoint.handle_datagram(now, InterfaceId(0), from, data));
}

/// The server still serves: a new client connects, and its message arrives.
fn assert_serves(sim: &mut Sim, server: NodeId) {
    let client = sim.peer();
    sim.connect(client, server);
    let flow = sim.open_flow(client, server, b"");
    let before = sim.messages(server).len();
    sim.send(client, server, flow, b"still there?");
    sim.run_until(|sim| sim.messages(server).len() == before + 1);
}

#[test]
fn random_and_damaged_datagrams_change_nothing() {
    for_seeds(4, |sim| {
        let (server, client) = (sim.server(), sim.peer());
        sim.recorded = Some(Vec::new());
        let (_, session) = sim.connect(client, server);
        let flow = sim.open_flow(client, server, b"seen");
        sim.send(client, server, flow, &[5; 3000]);
        sim.run_until(|sim| sim.messages(server).len() == 1);
        sim.run_for(Duration::from_secs(2));
        let seen = sim.recorded.take().unwrap_or_default();
        let jobs = sim.get(server).keying_jobs;
        let from: SocketAddr = "192.0.2.66:6666".parse().unwrap();
        for round in 0..25_000 {
            let mut data = match round % 4 {
                0 => vec![0; sim.dice.below(1500) as usize],
                _ => seen[sim.dice.below(seen.len() as u64) as usize].data.clone(),
            };
            match round % 4 {
                0 => sim.dice.fill(&mut data),
                1 => data.truncate(sim.dice.below(data.len() as u64) as usize),
                2 => {
                    let at = sim.dice.below(data.len() as u64) as usize;
                    data[at] ^= 1 << sim.dice.below(8);
                }
                // Under the default key, with chunks of nonsense.
                _ => data = nonsense(sim, session.get()),
            }
            throw(sim, server, from, &mut data);
        }
        sim.run_for(Duration::from_secs(2));
        assert_eq!((sim.session_count(server), sim.get(server).keying_jobs), (1, jobs));
        assert!(sim.is_connected(client, server));
        assert_eq!(sim.messages(server).len(), 1);
        assert_serves(sim, server);
    });
}

/// A startup packet whose checksum is right and whose chunks make no sense.
fn nonsense(sim: &mut Sim, session: u32) -> Vec<u8> {
    let kinds =
        [0x7f, 0x30, 0x0f, 0x70, 0x71, 0x79, 0x38, 0x78, 0x01, 0x41, 0x10, 0x11, 0x50, 0x51, 0x18, 0x5e, 0x0c, 0x4c];
    let kind = kinds[sim.dice.below(kinds.len() as u64) as usize];
    let mut payload = vec![0; sim.dice.below(200) as usize];
    sim.dice.fill(&mut payload);
    // Mostly lengths that fit.
    let length = if sim.dice.chance(0.9) { payload.len() as u16 } else { sim.dice.roll() as u16 };
    let to = if sim.dice.chance(0.5) { 0 } else { session };
    seal_startup(to, |out| {
        out.push(kind);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&payload);
    })
}

#[test]
fn a_flood_of_hellos_leaves_no_trace() {
    for_seeds(1, |sim| {
        let server = sim.server();
        let epd = Epd::fingerprint(sim.peer_id(server));
        let hello = |number: u32| {
            seal_startup(0, |out| {
                IHello { epd: &epd, tag: &[number.to_be_bytes(); 4].concat() }.put(out);
            })
        };
        let flood = |sim: &mut Sim, numbers: std::ops::Range<u32>| {
            for number in numbers {
                let from = SocketAddr::from((number.to_be_bytes(), 1024 + number as u16 % 50_000));
                throw(sim, server, from, &mut hello(0x0b00_0000 + number));
            }
        };
        flood(sim, 0..100_000);
        assert_eq!((sim.session_count(server), sim.get(server).endpoint.used_cookies()), (0, 0));
        assert_eq!(sim.get(server).wake, None, "nothing is left to wake up for");
        let counters = *sim.get(server).endpoint.counters();
        assert_eq!((counters.hellos, counters.sessions_opened, sim.get(server).keying_jobs), (100_000, 0, 0));
        assert_serves(sim, server);
    });
}

#[test]
fn a_datagram_full_of_hellos_earns_one_answer() {
    for_seeds(1, |sim| {
        let server = sim.server();
        let hello = IHello { epd: &Epd::ancillary("rtmfp://192.0.2.1:1935/any"), tag: &[7; 16] };
        let mut hellos = Vec::new();
        (0..150).for_each(|_| assert!(hello.put(&mut hellos)));
        let whole = seal_startup(0, |out| out.extend_from_slice(&hellos));
        // The same in fragments that all come in one datagram, each a packet by itself.
        let in_fragments = seal_startup(0, |out| {
            for packet_id in 0..50 {
                let mut plain = vec![0x03];
                assert!(hello.put(&mut plain));
                let fragment = PacketFragment { more_fragments: false, packet_id, fragment_num: 0, fragment: &plain };
                assert!(fragment.put(out));
            }
        });
        for (mut datagram, hellos) in [(whole, 1), (in_fragments, 2)] {
            throw(sim, server, "192.0.2.66:6666".parse().unwrap(), &mut datagram);
            assert_eq!(sim.get(server).endpoint.counters().hellos, hellos);
        }
    });
}

#[test]
fn a_flood_of_keyings_with_one_cookie_costs_one_computation() {
    for_seeds(1, |sim| {
        let (server, client) = (sim.server(), sim.peer());
        sim.get_mut(server).keying_delay = Duration::from_millis(500);
        sim.recorded = Some(Vec::new());
        sim.open(client, server);
        sim.run_for(Duration::from_millis(70));
        let seen = sim.recorded.take().unwrap_or_default();
        let keying = seen.iter().rfind(|packet| packet.to == sim.address(server)).unwrap().clone();
        for _ in 0..10_000 {
            throw(sim, server, keying.from, &mut keying.data.clone());
        }
        sim.run_until(|sim| sim.is_connected(client, server));
        assert_eq!((sim.session_count(server), sim.get(server).keying_jobs), (1, 1));
    });
}
