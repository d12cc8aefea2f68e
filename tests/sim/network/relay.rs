//! The relay of a server: its ports, and the hellos that it counts until the peers get one.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use introd_relay::{Attempt, Client, Families, Limits, OwnAddresses, Pairs, Party, RelayPorts, Terms};
use rtmfp::{Endpoint, Lookup, Origin, TaggedAddress};

use super::Packet;

const IP: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 250, 1));
const FIRST_PORT: u16 = 19_400;
const PORTS: u16 = 8;
/// The hello from which on peers are relayed.
const FALLBACK: u32 = 3;

pub(crate) struct Relay {
    pub(crate) pairs: Pairs<()>,
    hellos: HashMap<(SocketAddr, Vec<u8>), u32>,
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::new(IP, FIRST_PORT + port)
}

impl Relay {
    pub(super) fn new(now: Instant) -> Self {
        let limits = Limits {
            max_pairs: 16,
            max_pairs_per_client: 4,
            max_pairs_per_network: 16,
            bytes_per_second: 100_000_000,
            idle: Duration::from_secs(60),
        };
        let own = OwnAddresses::new([IP], FIRST_PORT..FIRST_PORT + PORTS);
        let ports = vec![Families { v4: true, v6: true }; PORTS.into()];
        Self { pairs: Pairs::new(now, ports, own, limits), hellos: HashMap::new() }
    }

    pub(super) fn has(&self, address: SocketAddr) -> bool {
        address.ip() == IP
    }

    /// What becomes of a packet that has come to one of its ports.
    pub(super) fn pass_on(&mut self, now: Instant, packet: &Packet) -> Option<Packet> {
        self.pairs.handle_timeout(now);
        let port = packet.to.port().checked_sub(FIRST_PORT).filter(|port| *port < PORTS)?;
        let forward = self.pairs.datagram(now, port, (), packet.from, &packet.data).ok()?;
        Some(Packet { from: address(forward.port), to: forward.to, data: packet.data.clone() })
    }

    /// Counts a hello, and has the server offer a relay if it is time.
    pub(super) fn count(&mut self, now: Instant, server: &mut Endpoint, lookup: &Lookup) {
        let hellos = self.hellos.entry((lookup.initiator, lookup.tag.to_vec())).or_default();
        *hellos += 1;
        let Some(peer) = lookup.target.filter(|_| *hellos >= FALLBACK) else { return };
        let Some(session) = server.session_of(&peer) else { return };
        let Some(target) = server.session(session) else { return };
        let asker = lookup.asker.and_then(|asker| server.session(asker));
        let asker = Party {
            client: asker.map_or(Client::Stranger(lookup.initiator), |asker| Client::Peer(asker.peer_id)),
            address: lookup.initiator,
            is_proven: lookup.asker.is_some(),
        };
        let target = Party { client: Client::Peer(peer), address: target.far_address, is_proven: true };
        let terms = Terms { bytes_per_second: 10_000_000, lifetime: Duration::from_secs(86_400) };
        let attempt = Attempt { asker, target, tag: &lookup.tag };
        let Ok(RelayPorts { asker, target }) = self.pairs.allocate(now, &attempt, terms) else { return };
        server.redirect(lookup, &[TaggedAddress::new(address(asker), Origin::Observed)]);
        let forwarded = server.forward_for(now, session, &lookup.epd, address(target), &lookup.tag);
        assert_eq!(forwarded, Ok(()));
    }
}
