//! Packets and pairs for the tests.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtmfp::PeerId;
use rtmfp::crypto::{Epd, Sealer};
use rtmfp::wire::chunk::{IHello, PacketFragment, RHello, Redirect};
use rtmfp::wire::{Mode, PacketHeader};

use crate::{Attempt, Client, Families, Forward, Limits, OwnAddresses, Pairs, Party, RelayPorts, Terms};

/// A startup packet with what `write` appends.
pub(crate) fn startup(write: impl FnOnce(&mut Vec<u8>) -> bool) -> Vec<u8> {
    let (mut sealer, mut out) = (Sealer::startup(), Vec::new());
    sealer.begin(&mut out);
    PacketHeader { timestamp: Some(1), ..PacketHeader::new(Mode::Startup) }.put(&mut out);
    assert!(write(&mut out));
    sealer.finish(0, 0, &mut out);
    out
}

pub(crate) fn ihello(tag: &[u8]) -> Vec<u8> {
    let epd = Epd::fingerprint(PeerId([9; 32]));
    startup(|out| IHello { epd: &epd, tag }.put(out))
}

fn rhello_chunk(tag: &[u8], certificate: usize, out: &mut Vec<u8>) -> bool {
    RHello { tag_echo: tag, cookie: &[1; 64], certificate: &vec![2; certificate] }.put(out)
}

pub(crate) fn rhello(tag: &[u8]) -> Vec<u8> {
    startup(|out| rhello_chunk(tag, 77, out))
}

pub(crate) fn redirect(tag: &[u8]) -> Vec<u8> {
    startup(|out| Redirect::put(tag, &[], out))
}

/// An RHello in two fragments.
pub(crate) fn fragments(tag: &[u8]) -> [Vec<u8>; 2] {
    let mut whole = Vec::new();
    PacketHeader::new(Mode::Startup).put(&mut whole);
    assert!(rhello_chunk(tag, 1000, &mut whole));
    let (first, second) = whole.split_at(700);
    [(0, first), (1, second)].map(|(fragment_num, fragment)| {
        startup(|out| {
            PacketFragment { more_fragments: fragment_num == 0, packet_id: 3, fragment_num, fragment }.put(out)
        })
    })
}

/// A datagram of a session.
pub(crate) fn session_datagram(session: u32, len: usize) -> Vec<u8> {
    let mut datagram = vec![0xa5; len];
    let words = u32::from_be_bytes([0xa5; 4]) ^ u32::from_be_bytes([0xa5; 4]);
    datagram[..4].copy_from_slice(&(session ^ words).to_be_bytes());
    datagram
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) const ASKER: &str = "203.0.113.1:4001";
pub(crate) const TARGET: &str = "203.0.113.2:4002";
pub(crate) const TAG: [u8; 16] = [0x77; 16];
pub(crate) const TERMS: Terms = Terms { bytes_per_second: 1_000_000, lifetime: Duration::from_secs(3600) };
pub(crate) const LIMITS: Limits = Limits {
    max_pairs: 100,
    max_pairs_per_client: 4,
    max_pairs_per_network: 16,
    bytes_per_second: 10_000_000,
    idle: Duration::from_secs(60),
};

pub(crate) fn party(id: u8, address: &str) -> Party {
    Party { client: Client::Peer(PeerId([id; 32])), address: address.parse().unwrap(), is_proven: true }
}

/// A relay with its time. Local addresses are numbers.
pub(crate) struct Bench {
    pub(crate) now: Instant,
    pub(crate) pairs: Pairs<u8>,
}

impl Bench {
    pub(crate) fn new(ports: usize, limits: Limits) -> Self {
        let now = Instant::now();
        let own = OwnAddresses::new([[198, 51, 100, 1].into()], [1935, 19400, 19401]);
        let families = vec![Families { v4: true, v6: true }; ports];
        Self { now, pairs: Pairs::new(now, families, own, limits) }
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.pairs.handle_timeout(self.now);
    }

    /// The pair of the two usual clients.
    pub(crate) fn usual(&mut self) -> RelayPorts {
        let attempt = Attempt { asker: party(1, ASKER), target: party(2, TARGET), tag: &TAG };
        self.pairs.allocate(self.now, &attempt, TERMS).unwrap()
    }

    /// A datagram from an address: where it goes on, or the label of why it does not.
    pub(crate) fn send(&mut self, port: u16, from: &str, datagram: &[u8]) -> Result<(u16, String), &'static str> {
        let forward = self.pairs.datagram(self.now, port, port as u8, address(from), datagram);
        let shown = |Forward { port, local, to }: Forward<u8>| {
            assert_eq!(u16::from(local), port, "it leaves from where the other side's datagrams come to");
            (port, to.to_string())
        };
        forward.map(shown).map_err(|reason| reason.label())
    }

    /// The handshake of the usual pair, by which it opens.
    pub(crate) fn open(&mut self, ports: RelayPorts) {
        assert_eq!(self.send(ports.asker, ASKER, &ihello(&TAG)), Err("waiting"));
        let to_asker = Ok((ports.asker, ASKER.to_owned()));
        let to_target = Ok((ports.target, TARGET.to_owned()));
        assert_eq!(self.send(ports.target, TARGET, &rhello(&TAG)), to_asker);
        assert_eq!(
            self.send(
                ports.asker,
                ASKER,
                &startup(|out| {
                    out.extend([0; 200]);
                    true
                })
            ),
            to_target
        );
        assert_eq!(self.send(ports.target, TARGET, &session_datagram(5, 300)), to_asker);
        assert_eq!(self.send(ports.asker, ASKER, &session_datagram(6, 60)), to_target);
        assert_eq!(self.pairs.open(), 1);
    }
}
