//! Network address translators: one mapping per inside address, or one for each destination, and no way in for strangers (RFC 4787:
//! endpoint-independent or address- and port-dependent mapping, address- and port-dependent filtering).

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

/// A NAT with one public address.
#[derive(Debug)]
pub(crate) struct Nat {
    public: IpAddr,
    next_port: u16,
    /// Whether each destination gets a mapping of its own (address- and port-dependent mapping).
    is_symmetric: bool,
    /// By the inside address, and by the destination if each has its own.
    mappings: HashMap<(SocketAddr, Option<SocketAddr>), Mapping>,
}

#[derive(Debug)]
struct Mapping {
    port: u16,
    /// The addresses to which something was sent.
    known: HashSet<SocketAddr>,
}

impl Nat {
    pub(crate) fn new(public: IpAddr) -> Self {
        Self { public, next_port: 40_000, is_symmetric: false, mappings: HashMap::new() }
    }

    /// The same, with another port for each destination.
    pub(crate) fn symmetric(public: IpAddr) -> Self {
        Self { is_symmetric: true, ..Self::new(public) }
    }

    /// Where a packet from `inside` to `to` seems to come from.
    pub(crate) fn outbound(&mut self, inside: SocketAddr, to: SocketAddr) -> SocketAddr {
        let next_port = &mut self.next_port;
        let mapping = self.mappings.entry((inside, self.is_symmetric.then_some(to))).or_insert_with(|| {
            *next_port += 1;
            Mapping { port: *next_port, known: HashSet::new() }
        });
        mapping.known.insert(to);
        SocketAddr::new(self.public, mapping.port)
    }

    /// To which inside address a packet goes, if it is let in.
    pub(crate) fn inbound(&self, from: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
        let ((inside, _), mapping) = self.mappings.iter().find(|(_, mapping)| mapping.port == to.port())?;
        mapping.known.contains(&from).then_some(*inside)
    }

    /// Forgets everything: what goes out from now on has a new port.
    pub(crate) fn rebind(&mut self) {
        self.mappings.clear();
    }

    pub(crate) fn public(&self) -> IpAddr {
        self.public
    }
}
