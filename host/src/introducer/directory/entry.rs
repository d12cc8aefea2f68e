//! The directory's entry of a peer.

use std::net::{Ipv6Addr, SocketAddr};

use introd_policy::Peer;
use rtmfp::{PeerId, SessionId};
use thin_vec::ThinVec;

/// A peer. The alignment is that of a cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Entry {
    pub(super) id: PeerId,
    /// An empty list allocates nothing.
    pub(super) reported: ThinVec<PackedAddress>,
    pub(super) owner: SessionId,
    pub(super) observed: PackedAddress,
    pub(super) instance: u16,
}

/// An address in 18 bytes instead of 32, IPv4 mapped into IPv6. Scope ids are left out: they mean nothing to another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PackedAddress {
    ip: Ipv6Addr,
    port: u16,
}

impl From<SocketAddr> for PackedAddress {
    fn from(address: SocketAddr) -> Self {
        let ip = match address {
            SocketAddr::V4(address) => address.ip().to_ipv6_mapped(),
            SocketAddr::V6(address) => *address.ip(),
        };
        Self { ip, port: address.port() }
    }
}

impl From<PackedAddress> for SocketAddr {
    fn from(packed: PackedAddress) -> Self {
        SocketAddr::new(packed.ip.to_canonical(), packed.port)
    }
}

impl Entry {
    pub(super) fn peer(&self, is_silent: bool) -> Peer {
        let reported = self.reported.iter().map(|address| SocketAddr::from(*address)).collect();
        Peer { owner: self.owner, instance: self.instance, observed: self.observed.into(), reported, is_silent }
    }
}
