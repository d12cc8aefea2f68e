use std::net::UdpSocket as StdSocket;
use std::time::Duration;

use introd_relay::{Client, DropReason, Party};
use rtmfp::PeerId;
use rtmfp::crypto::{Epd, Sealer};
use rtmfp::wire::chunk::{IHello, RHello};
use rtmfp::wire::{Mode, PacketHeader};

use super::*;

const TAG: [u8; 16] = [9; 16];
const TERMS: Terms = Terms { bytes_per_second: 1_000_000, lifetime: Duration::from_secs(3600) };

fn start(change: impl FnOnce(&mut Settings)) -> Relay {
    let mut config = Config::built_in();
    let listen = |local: &str| introd_config::Listen { local: local.parse().unwrap(), public: None, is_optional: true };
    let relay = &mut config.default_adaptor.relay;
    relay.is_named = true;
    relay.ports = vec![vec![listen("127.0.0.1:0"), listen("[::1]:0")]; 4];
    change(relay);
    Relay::start(&config, &[], Beginning::default()).unwrap().unwrap()
}

fn startup(write: impl FnOnce(&mut Vec<u8>) -> bool) -> Vec<u8> {
    let (mut sealer, mut out) = (Sealer::startup(), Vec::new());
    sealer.begin(&mut out);
    PacketHeader::new(Mode::Startup).put(&mut out);
    assert!(write(&mut out));
    sealer.finish(0, 0, &mut out);
    out
}

fn ihello() -> Vec<u8> {
    startup(|out| IHello { epd: &Epd::fingerprint(PeerId([2; 32])), tag: &TAG }.put(out))
}

fn rhello() -> Vec<u8> {
    startup(|out| RHello { tag_echo: &TAG, cookie: &[1; 64], certificate: &[2; 77] }.put(out))
}

/// A datagram of some session.
fn session_datagram(number: u32) -> Vec<u8> {
    let mut datagram = vec![0; 64];
    datagram[..4].copy_from_slice(&7_u32.to_be_bytes());
    datagram[12..16].copy_from_slice(&number.to_be_bytes());
    datagram
}

fn socket(address: &str) -> StdSocket {
    let socket = StdSocket::bind(address).unwrap();
    // A datagram that does not come fails the test; one that comes is taken at once.
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    socket
}

fn party(id: u8, socket: &StdSocket) -> Party {
    Party { client: Client::Peer(PeerId([id; 32])), address: socket.local_addr().unwrap(), is_proven: true }
}

fn received(socket: &StdSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2048];
    let (len, from) = socket.recv_from(&mut buffer).unwrap();
    (buffer[..len].to_vec(), from)
}

/// Makes a pair for two sockets. Returns the addresses of their ports.
fn pair(relay: &Relay, asker: &StdSocket, target: &StdSocket) -> [SocketAddr; 2] {
    let attempt = Attempt { asker: party(1, asker), target: party(2, target), tag: &TAG };
    let ports = relay.allocate(Instant::now(), &attempt, TERMS).unwrap();
    let face = |port, socket: &StdSocket| relay.faces(port, socket.local_addr().unwrap().ip(), None, None)[0];
    [face(ports.asker, asker), face(ports.target, target)]
}

#[test]
fn datagrams_go_from_one_peer_to_the_other_by_both_ports_and_from_one_family_to_the_other() {
    for target in ["127.0.0.1:0", "[::1]:0"] {
        let relay = start(|_| ());
        let (asker, target) = (socket("127.0.0.1:0"), socket(target));
        let [to_target, to_asker] = pair(&relay, &asker, &target);
        target.send_to(&rhello(), to_asker).unwrap();
        while relay.figures().counts.dropped(DropReason::Waiting) == 0 {
            std::thread::yield_now();
        }
        asker.send_to(&ihello(), to_target).unwrap();
        assert_eq!(received(&target), (ihello(), to_asker));
        target.send_to(&rhello(), to_asker).unwrap();
        assert_eq!(received(&asker), (rhello(), to_target));
        for number in 0..200 {
            asker.send_to(&session_datagram(number), to_target).unwrap();
            assert_eq!(received(&target), (session_datagram(number), to_asker));
            target.send_to(&session_datagram(number), to_asker).unwrap();
            assert_eq!(received(&asker), (session_datagram(number), to_target));
        }
        let figures = relay.figures();
        assert_eq!((figures.pairs, figures.open, figures.counts.datagrams), (1, 1, 402));
        assert_eq!(relay.views(Instant::now(), 0, 5)[0].1.datagrams, 402);
    }
}

#[test]
fn a_stopped_relay_makes_no_pairs() {
    let relay = start(|_| ());
    relay.stop();
    let (asker, target) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
    let attempt = Attempt { asker: party(1, &asker), target: party(2, &target), tag: &TAG };
    assert_eq!(relay.allocate(Instant::now(), &attempt, TERMS), Err(Refusal::Stopped));
    assert_eq!(relay.figures().counts.refused(Refusal::Stopped), 1);
}

#[test]
fn there_is_a_relay_if_a_setting_wants_one_and_other_limits_hold_at_once() {
    let config = Config::built_in();
    assert!(Relay::start(&config, &[], Beginning::default()).unwrap().is_none());
    let relay = start(|settings| settings.max_pairs = 0);
    let (asker, target) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
    let attempt = Attempt { asker: party(1, &asker), target: party(2, &target), tag: &TAG };
    assert_eq!(relay.allocate(Instant::now(), &attempt, TERMS), Err(Refusal::TooManyPairs));
    relay.reconfigure(&Settings { max_pairs: 1, ..config.default_adaptor.relay });
    assert!(relay.allocate(Instant::now(), &attempt, TERMS).is_ok());
}

#[test]
fn the_ports_of_the_relay_are_known_by_their_numbers_in_each_family() {
    let relay = start(|_| ());
    let own: Vec<SocketAddr> = relay.ports.addresses().collect();
    assert!(own.iter().all(|own| relay.has_port(own.port(), own.is_ipv4())), "{own:?}");
    let free = (1..=u16::MAX).find(|port| own.iter().all(|own| own.port() != *port)).unwrap();
    assert!(!relay.has_port(free, true) && !relay.has_port(free, false));
}

#[test]
fn what_two_peers_send_each_other_goes_on_by_the_relay_of_the_process_that_takes_over() {
    let config = |ports: &[Vec<introd_config::Listen>]| {
        let mut config = Config::built_in();
        let relay = &mut config.default_adaptor.relay;
        (relay.is_named, relay.ports) = (true, ports.to_vec());
        config
    };
    let listen = |local: &str| introd_config::Listen { local: local.parse().unwrap(), public: None, is_optional: true };
    let ports = vec![vec![listen("127.0.0.1:0"), listen("[::1]:0")]; 2];
    let replaceable = || Beginning { offered: None, is_replaceable: true };
    let old = Relay::start(&config(&ports), &[], replaceable()).unwrap().unwrap();
    let (asker, target) = (socket("127.0.0.1:0"), socket("[::1]:0"));
    let [to_target, to_asker] = pair(&old, &asker, &target);
    target.send_to(&rhello(), to_asker).unwrap();
    while old.figures().counts.dropped(DropReason::Waiting) == 0 {
        std::thread::yield_now();
    }
    asker.send_to(&ihello(), to_target).unwrap();
    assert_eq!(received(&target), (ihello(), to_asker));
    target.send_to(&rhello(), to_asker).unwrap();
    assert_eq!(received(&asker), (rhello(), to_target));

    let offered = || {
        let adopt = |(_, socket): &(SocketAddr, OwnedFd)| UdpSocket::adopt(socket.try_clone().unwrap()).unwrap();
        Beginning {
            offered: Some(old.shared_sockets().iter().map(|port| port.iter().map(adopt).collect()).collect()),
            is_replaceable: true,
        }
    };
    let others = config(&[vec![listen("127.0.0.1:0")]]);
    let Err(error) = Relay::start(&others, &[], offered()) else { panic!("it has other ports") };
    assert!(error.to_string().contains("restart the server without --takeover"), "{error}");
    let new = Relay::start(&config(&ports), &[], offered()).unwrap().unwrap();
    // The new one waits: the old one alone reads what comes.
    for number in 0..100 {
        asker.send_to(&session_datagram(number), to_target).unwrap();
        assert_eq!(received(&target), (session_datagram(number), to_asker));
    }
    // A takeover that fails: what came meanwhile goes on then.
    assert!(old.stand_still());
    asker.send_to(&session_datagram(100), to_target).unwrap();
    old.serve();
    assert_eq!(received(&target), (session_datagram(100), to_asker));
    assert!(old.stand_still());
    target.send_to(&session_datagram(101), to_asker).unwrap();
    let then = Instant::now();
    let records = old.hand_over(then);
    assert_eq!(new.take_over(then, records), 1);
    new.serve();
    assert_eq!(received(&asker), (session_datagram(101), to_target));
    asker.send_to(&session_datagram(102), to_target).unwrap();
    assert_eq!(received(&target), (session_datagram(102), to_asker));
    let figures = new.figures();
    assert_eq!((figures.pairs, figures.open, figures.counts.datagrams), (1, 1, 2));
    // A relay that has bound its ports itself goes on with no pairs of others.
    let alone = Relay::start(&config(&ports), &[], replaceable()).unwrap().unwrap();
    assert_eq!(alone.take_over(then, old.hand_over(then)), 0);
}
