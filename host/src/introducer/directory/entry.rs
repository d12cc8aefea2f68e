//! The directory's entry of a peer.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use introd_policy::Peer;
use rtmfp::{PeerId, SessionId};
use thin_vec::ThinVec;

/// A peer. The alignment is that of a cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Entry {
    pub(super) id: PeerId,
    pub(super) reported: ReportedAddresses,
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

/// The addresses that a peer reports, one after the other: those of IPv4 in seven bytes, others in nineteen. With the header of the list,
/// one of IPv4 takes the least that the allocator has. An empty list allocates nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ReportedAddresses(ThinVec<u8>);

const IPV4: u8 = 4;
const IPV6: u8 = 6;

impl ReportedAddresses {
    pub(super) fn new(addresses: &[PackedAddress]) -> Self {
        let length = |address: &PackedAddress| if address.ip.to_ipv4_mapped().is_some() { 7 } else { 19 };
        let mut bytes = ThinVec::with_capacity(addresses.iter().map(length).sum());
        for PackedAddress { ip, port } in addresses {
            match ip.to_ipv4_mapped() {
                Some(ip) => {
                    bytes.push(IPV4);
                    bytes.extend_from_slice(&ip.octets());
                }
                None => {
                    bytes.push(IPV6);
                    bytes.extend_from_slice(&ip.octets());
                }
            }
            bytes.extend_from_slice(&port.to_be_bytes());
        }
        Self(bytes)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = SocketAddr> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (kind, after) = rest.split_first()?;
            let (ip, after) = if *kind == IPV4 {
                let (octets, after) = after.split_first_chunk::<4>()?;
                (IpAddr::from(*octets), after)
            } else {
                let (octets, after) = after.split_first_chunk::<16>()?;
                (IpAddr::from(*octets), after)
            };
            let (port, after) = after.split_first_chunk()?;
            rest = after;
            Some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
        })
    }
}

impl Entry {
    pub(super) fn peer(&self, is_silent: bool) -> Peer {
        let reported = self.reported.iter().collect();
        Peer { owner: self.owner, instance: self.instance, observed: self.observed.into(), reported, is_silent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reported_addresses_come_back_in_their_order_and_one_of_ipv4_takes_little() {
        let lists: [&[&str]; 4] = [
            &[],
            &["192.0.2.1:1935"],
            &["[2001:db8::4]:1", "10.1.2.3:65535", "[fe80::1]:0", "0.0.0.0:7"],
            &["192.0.2.1:1", "192.0.2.1:2", "[::]:3", "[::1]:4"],
        ];
        for list in lists {
            let addresses: Vec<SocketAddr> = list.iter().map(|text| text.parse().unwrap()).collect();
            let packed: Vec<PackedAddress> = addresses.iter().map(|address| PackedAddress::from(*address)).collect();
            let reported = ReportedAddresses::new(&packed);
            assert_eq!(reported.iter().collect::<Vec<_>>(), addresses);
            assert_eq!(reported.0.len(), reported.0.capacity());
        }
        let one = ReportedAddresses::new(&[PackedAddress::from(SocketAddr::from(([192, 0, 2, 1], 1935)))]);
        assert_eq!((one.0.len(), ReportedAddresses::default().0.capacity()), (7, 0));
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:1935".parse().unwrap();
        assert_eq!(ReportedAddresses::new(&[mapped.into()]), one, "an IPv4 address is one however it is written");
    }
}
