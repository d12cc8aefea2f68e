//! What an unproven packet earns: less than three bytes for each of its own, whatever it is (the table in `rtmfp::guide::sessions`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rtmfp::crypto::{Epd, Group, Identity};
use rtmfp::wire::chunk::{IHello, IIKeying, PacketFragment, kind};
use rtmfp::{Config, InterfaceId, Origin, TaggedAddress};

use crate::network::{NodeId, Packet, Sim, fixed, for_seeds, open_startup, seal_startup, startup_kind};

/// How many times the bytes received the answers have to stay below.
const FACTOR: usize = 3;

fn stranger() -> SocketAddr {
    "192.0.2.66:6666".parse().expect("an address")
}

fn hello(epd: &[u8], tag: &[u8]) -> Vec<u8> {
    seal_startup(0, |out| {
        IHello { epd, tag }.put(out);
    })
}

/// What a node sends to `to` when these datagrams come to it from there, a second after each other.
fn answers(sim: &mut Sim, node: NodeId, from: SocketAddr, datagrams: &[Vec<u8>]) -> Vec<Packet> {
    sim.recorded = Some(Vec::new());
    for datagram in datagrams {
        sim.with(node, |endpoint, now| {
            endpoint.handle_datagram(now, InterfaceId(0), from, &mut datagram.clone());
        });
        sim.run_for(Duration::from_secs(1));
    }
    let sent = sim.recorded.take().unwrap_or_default();
    sent.into_iter().filter(|packet| packet.to == from).collect()
}

fn bytes<'a>(datagrams: impl IntoIterator<Item = &'a Vec<u8>>) -> usize {
    datagrams.into_iter().map(Vec::len).sum()
}

/// Asserts that the answers stay below the factor; gives their number.
fn assert_bounded(what: &str, sent: &[Vec<u8>], answers: &[Packet]) -> usize {
    let (received, answered) = (bytes(sent), answers.iter().map(|packet| packet.data.len()).sum::<usize>());
    println!("{what}: {received} bytes earn {answered}");
    assert!(answered == 0 || answered < FACTOR * received, "{what}: {received} bytes earn {answered}");
    answers.len()
}

#[test]
fn hellos_of_any_length_earn_less_than_three_times_as_much() {
    for_seeds(1, |sim| {
        for length in 0..200 {
            let server = sim.server();
            let one = [hello(&Epd::ancillary(&"x".repeat(length)), &[1; 16])];
            let found = answers(sim, server, stranger(), &one);
            assert_bounded("a hello", &one, &found);
            // A client that repeats it is answered.
            let many = vec![one[0].clone(); 7];
            let found = answers(sim, server, stranger(), &many);
            assert!(assert_bounded("a hello and its repetitions", &many, &found) > 0, "{length}");
        }
    });
}

/// rtmfp-cpp's hellos have 68 bytes or more; librtmfp's, with a short path, have 36, and it repeats them.
#[test]
fn hellos_like_those_of_known_clients_are_answered() {
    for_seeds(1, |sim| {
        let server = sim.server();
        let long = [hello(&Epd::ancillary("rtmfp://127.0.0.1:1935/meet"), &[1; 16])];
        assert_eq!(long[0].len(), 68);
        let found = answers(sim, server, stranger(), &long);
        assert_eq!(assert_bounded("the hello of rtmfp-cpp", &long, &found), 1);
        let server = sim.server();
        let short = vec![hello(&Epd::ancillary("/a"), &[1; 16]); 2];
        assert!(short[0].len() <= 36);
        let found = answers(sim, server, stranger(), &short);
        assert_eq!(assert_bounded("the hello of librtmfp, and its first repetition", &short, &found), 1);
    });
}

#[test]
fn hellos_to_a_certificate_with_static_keys_earn_no_more() {
    for_seeds(1, |sim| {
        let groups = [Group::Modp2, Group::Modp5, Group::Modp14, Group::Modp16];
        let identity: Arc<Identity> = fixed(1, &groups);
        for max_datagram in [548, 1192] {
            let server = sim.node(Config { max_datagram, ..Config::server(vec![Arc::clone(&identity)]) });
            let many = vec![hello(&Epd::fingerprint(identity.peer_id()), &[1; 16]); 12];
            let found = answers(sim, server, stranger(), &many);
            assert!(assert_bounded("hellos to static keys", &many, &found) > 0);
        }
    });
}

#[test]
fn a_hello_in_fragments_earns_no_more_than_its_bytes() {
    for_seeds(1, |sim| {
        let server = sim.server();
        let mut plain = vec![0x03];
        assert!(IHello { epd: &Epd::ancillary("rtmfp://192.0.2.1:1935/any"), tag: &[1; 16] }.put(&mut plain));
        for size in [1, 10, plain.len()] {
            let count = plain.chunks(size).count();
            let fragments: Vec<Vec<u8>> = plain
                .chunks(size)
                .enumerate()
                .map(|(number, fragment)| {
                    seal_startup(0, |out| {
                        let more_fragments = number + 1 < count;
                        let fragment =
                            PacketFragment { more_fragments, packet_id: 5, fragment_num: number as u64, fragment };
                        assert!(fragment.put(out));
                    })
                })
                .collect();
            sim.recorded = Some(Vec::new());
            for fragment in &fragments {
                sim.with(server, |endpoint, now| {
                    endpoint.handle_datagram(now, InterfaceId(0), stranger(), &mut fragment.clone());
                });
            }
            sim.run_for(Duration::from_secs(1));
            let found: Vec<Packet> = sim.recorded.take().unwrap_or_default();
            let found: Vec<Packet> = found.into_iter().filter(|packet| packet.to == stranger()).collect();
            assert_bounded("a hello in fragments", &fragments, &found);
        }
    });
}

#[test]
fn lookups_of_strangers_earn_no_more_with_the_hello_that_is_forwarded() {
    for_seeds(1, |sim| {
        let (server, target) = (sim.server(), sim.peer());
        let (_, session) = sim.connect(target, server);
        let target_id = sim.peer_id(target);
        for (tag, addresses) in [(0, 40), (8, 40), (16, 1), (16, 40), (64, 40)] {
            for is_ipv6 in [false, true] {
                let lookup = hello(&Epd::fingerprint(target_id), &vec![1; tag]);
                let found = sim.with(server, |endpoint, now| {
                    endpoint.handle_datagram(now, InterfaceId(0), stranger(), &mut lookup.clone());
                    let lookup = loop {
                        match endpoint.poll_event().expect("a lookup") {
                            rtmfp::Event::Lookup(lookup) => break lookup,
                            _ => continue,
                        }
                    };
                    let destinations: Vec<TaggedAddress> = (0..addresses)
                        .map(|port| {
                            let ip = if is_ipv6 { "2001:db8::1" } else { "198.51.100.1" };
                            let ip: std::net::IpAddr = ip.parse().expect("an address");
                            TaggedAddress::new((ip, 1000 + port).into(), Origin::Observed)
                        })
                        .collect();
                    endpoint.redirect(&lookup, &destinations);
                    endpoint.forward(now, session, &lookup).expect("there is room");
                    let mut all = Vec::new();
                    let mut datagram = Vec::new();
                    while let Some(transmit) = endpoint.poll_transmit(now, &mut datagram) {
                        all.push((transmit.to, std::mem::take(&mut datagram)));
                    }
                    all
                });
                let sent: usize = found.iter().map(|(_, datagram)| datagram.len()).sum();
                println!("a lookup with a tag of {tag}: {} bytes earn {sent}", lookup.len());
                assert!(found.iter().any(|(to, _)| *to == stranger()), "at least one address is told");
                assert!(sent < FACTOR * lookup.len(), "{} bytes earn {sent}", lookup.len());
            }
        }
    });
}

#[test]
fn keyings_earn_no_more_whether_changed_repeated_or_forged() {
    for_seeds(1, |sim| {
        let (client, server) = (sim.peer(), sim.server());
        sim.recorded = Some(Vec::new());
        sim.connect(client, server);
        let sent = sim.recorded.take().unwrap_or_default();
        let keying = sent.iter().find(|packet| startup_kind(&packet.data) == Some(kind::IIKEYING)).expect("a keying");
        let (_, payload) = open_startup(&keying.data).expect("a startup packet");
        let whole = IIKeying::parse(&payload).expect("a keying");
        // The shortest that has the cookie.
        let short = seal_startup(0, |out| {
            IIKeying { certificate: &[], component: &[], signature: &[], ..whole }.put(out);
        });
        for datagram in [keying.data.clone(), short.clone()] {
            let many = vec![datagram; 10];
            let found = answers(sim, server, stranger(), &many);
            assert_eq!(assert_bounded("keyings with the cookie of another address", &many, &found), 10);
            let found = answers(sim, server, keying.from, &many);
            assert_bounded("keyings that are repeated", &many, &found);
        }
    });
}
