//! One pair of the matrix: one peer asks for the other one, and they exchange a message.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use introd_tests::program::Ended;
use serde_json::Value;

use super::kinds::{Kind, Path};
use super::world::{Place, World};
use crate::hosts::{Host, Received};
use crate::programs::probe;

/// So many packets and bytes come from the other peer at least: handshake, message, answer, acknowledgements.
const EXCHANGE: (u64, u64) = (3, 300);

/// A pair that was tried.
pub(super) struct Cell {
    pub(super) asker: Kind,
    pub(super) target: Kind,
    ended: Ended,
    /// The asker's own ports. They stay taken, so that all that came to them is of this pair.
    ports: Vec<UdpSocket>,
}

/// What came in from one place.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    packets: u64,
    bytes: u64,
}

impl Sum {
    fn of<'a>(received: impl Iterator<Item = &'a Received>) -> Self {
        received.fold(Self::default(), |sum, more| Self {
            packets: sum.packets + more.packets,
            bytes: sum.bytes + more.bytes,
        })
    }

    fn is_exchange(self) -> bool {
        self.packets >= EXCHANGE.0 && self.bytes >= EXCHANGE.1
    }
}

/// What came in at a host from the other peer directly, and from the ports at which the server relays.
#[derive(Clone, Copy, Debug)]
struct Came {
    directly: Sum,
    relayed: Sum,
}

impl Cell {
    /// The asker of a kind asks for the peer `id` of another one.
    pub(super) fn try_pair(world: &World, asker: Kind, target: Kind, id: &str) -> Self {
        let host = &world.askers[&asker].host;
        let ended = probe(host, &["--json", "--timeout", "50", "--peer", id, &world.uri(asker, target)]);
        let ports = own_ports(&ended.json()).into_iter().map(|port| take(host, port)).collect();
        Self { asker, target, ended, ports }
    }

    /// How they have met, by what came in at both hosts.
    ///
    /// # Errors
    /// If they have not, or the packets do not show one path alone.
    pub(super) fn path(&self, world: &World, at_asker: &[Received], at_target: &[Received]) -> Result<Path, String> {
        let report = self.ended.json();
        let met = (&report["introduced"], &report["message_exchanged"]) == (&true.into(), &true.into());
        if self.ended.code != Some(0) || !met {
            return Err(format!("not met: {:?}", self.ended));
        }
        let own: BTreeSet<u16> = self.ports.iter().map(|port| port.local_addr().unwrap().port()).collect();
        let at_asker = at_asker.iter().filter(|received| own.contains(&received.at));
        let (asker, target) = (&world.askers[&self.asker], &world.targets[&self.target]);
        let at_asker = self.came(world, at_asker, target);
        // The target has the same port for all askers: only what comes directly is known to be of this one.
        let at_target = self.came(world, at_target.iter(), asker);
        let session = report["target"]["address"].as_str().and_then(|address| address.parse::<SocketAddr>().ok());
        let says_relay = session.and_then(|address| world.relays(self.asker, self.target, address)) == Some(true);
        let seen = format!("at the asker {at_asker:?}, at the target {at_target:?}, the session is with {session:?}");
        let direct = at_asker.directly.is_exchange() && at_target.directly.is_exchange();
        let relayed = at_asker.relayed.is_exchange() && at_target.relayed.is_exchange();
        let nothing_directly = at_asker.directly.packets == 0 && at_target.directly.packets == 0;
        let (path, word) = match (direct, says_relay) {
            (true, false) if at_asker.directly.bytes > at_asker.relayed.bytes => (Path::Direct, "direct"),
            (false, true) if relayed && nothing_directly => (Path::Relay, "relayed"),
            _ => return Err(format!("met, but {seen}")),
        };
        // The probe knows the path if the server has named the address. It must not say anything else.
        match report["path"].as_str() {
            Some(said) if said != word => Err(format!("{word}, but the probe says {said}: {seen}")),
            _ => Ok(path),
        }
    }

    fn came<'a>(&self, world: &World, received: impl Iterator<Item = &'a Received>, other: &Place) -> Came {
        let received: Vec<_> = received.collect();
        let of = |from: SocketAddr| world.relays(self.asker, self.target, from);
        let directly =
            received.iter().filter(|more| of(more.from).is_none() && other.seen_at.contains(&more.from.ip()));
        let relayed = received.iter().filter(|more| of(more.from) == Some(true));
        Came { directly: Sum::of(directly.copied()), relayed: Sum::of(relayed.copied()) }
    }
}

/// The ports of a probe's sockets.
fn own_ports(report: &Value) -> BTreeSet<u16> {
    let addresses = report["reported_addresses"].as_array().into_iter().flatten();
    addresses.map(|address| address.as_str().unwrap().parse::<SocketAddr>().unwrap().port()).collect()
}

/// Takes a port that a program on the host has given back, so that no other one gets it.
fn take(host: &Host, port: u16) -> UdpSocket {
    host.inside(|| {
        let v4 = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port));
        v4.or_else(|_| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port))).expect("the port is free")
    })
}
