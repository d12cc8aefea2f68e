//! The directory's entry of a peer.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4};

use introd_policy::Peer;
use rtmfp::{PeerId, SessionId};
use thin_vec::ThinVec;

/// A peer. The alignment is that of a cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Entry {
    pub(super) id: PeerId,
    /// `None` for nearly all peers: what they report stands in `near`. Otherwise the reported addresses, as [`list`] writes them.
    listed: Option<ThinVec<u8>>,
    /// Without `listed`, three addresses of IPv4: where the peer's packets come from, and up to two that it reports. With it, the address
    /// that its packets come from.
    near: [u8; 18],
    pub(super) owner: SessionId,
    pub(super) instance: u16,
}

/// How many reported addresses an entry has room for, beside an observed one.
const NEAR: usize = 2;
/// Bytes of an IPv4 address and its port.
const IPV4_LEN: usize = 6;
/// Where there is no reported address. A peer that does report this one has a list.
const NOTHING: [u8; IPV4_LEN] = [0; IPV4_LEN];

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

impl PackedAddress {
    fn to_bytes(self) -> [u8; 18] {
        let mut bytes = [0; 18];
        let (ip, port) = bytes.split_at_mut(16);
        ip.copy_from_slice(&self.ip.octets());
        port.copy_from_slice(&self.port.to_be_bytes());
        bytes
    }

    fn of_bytes(bytes: [u8; 18]) -> Self {
        let [ip @ .., high, low] = bytes;
        Self { ip: Ipv6Addr::from_octets(ip), port: u16::from_be_bytes([high, low]) }
    }

    /// The bytes of an IPv4 address and its port.
    fn to_ipv4(self) -> Option<[u8; IPV4_LEN]> {
        let ([a, b, c, d], [high, low]) = (self.ip.to_ipv4_mapped()?.octets(), self.port.to_be_bytes());
        Some([a, b, c, d, high, low])
    }
}

/// An IPv4 address and its port.
fn of_ipv4([a, b, c, d, high, low]: [u8; IPV4_LEN]) -> SocketAddr {
    SocketAddrV4::new([a, b, c, d].into(), u16::from_be_bytes([high, low])).into()
}

const IPV4: u8 = 4;
const IPV6: u8 = 6;

/// Addresses one after the other: those of IPv4 in seven bytes, others in nineteen.
fn list(addresses: &[PackedAddress]) -> ThinVec<u8> {
    let length = |address: &PackedAddress| if address.to_ipv4().is_some() { 1 + IPV4_LEN } else { 19 };
    let mut bytes = ThinVec::with_capacity(addresses.iter().map(length).sum());
    for address in addresses {
        match address.to_ipv4() {
            Some(address) => {
                bytes.push(IPV4);
                bytes.extend_from_slice(&address);
            }
            None => {
                bytes.push(IPV6);
                bytes.extend_from_slice(&address.to_bytes());
            }
        }
    }
    bytes
}

/// The addresses of a list.
fn listed(mut rest: &[u8]) -> impl Iterator<Item = SocketAddr> {
    std::iter::from_fn(move || {
        let (kind, after) = rest.split_first()?;
        if *kind == IPV4 {
            let (address, after) = after.split_first_chunk()?;
            rest = after;
            Some(of_ipv4(*address))
        } else {
            let (address, after) = after.split_first_chunk()?;
            rest = after;
            Some(PackedAddress::of_bytes(*address).into())
        }
    })
}

impl Entry {
    /// A peer that reports no addresses.
    pub(super) fn new(id: PeerId, owner: SessionId, instance: u16, observed: SocketAddr) -> Self {
        let mut entry = Self { id, listed: None, near: [0; 18], owner, instance };
        entry.put(observed.into(), &[]);
        entry
    }

    /// Where the peer's packets come from.
    pub(super) fn observed(&self) -> SocketAddr {
        match (&self.listed, self.near.first_chunk()) {
            (None, Some(address)) => of_ipv4(*address),
            _ => PackedAddress::of_bytes(self.near).into(),
        }
    }

    /// The addresses that the peer reports.
    pub(super) fn reported(&self) -> impl Iterator<Item = SocketAddr> {
        let near = if self.listed.is_none() { self.near.as_chunks().0.get(1..) } else { None };
        let near = near.unwrap_or_default().iter().filter(|address| **address != NOTHING);
        near.map(|address| of_ipv4(*address)).chain(listed(self.listed.as_deref().unwrap_or_default()))
    }

    pub(super) fn set_observed(&mut self, observed: SocketAddr) {
        let reported: Vec<_> = self.reported().map(PackedAddress::from).collect();
        self.put(observed.into(), &reported);
    }

    pub(super) fn set_reported(&mut self, reported: &[PackedAddress]) {
        self.put(self.observed().into(), reported);
    }

    fn put(&mut self, observed: PackedAddress, reported: &[PackedAddress]) {
        let near = near(observed, reported);
        self.listed = near.is_none().then(|| list(reported));
        self.near = near.unwrap_or_else(|| observed.to_bytes());
    }

    pub(super) fn peer(&self, is_silent: bool) -> Peer {
        let reported = self.reported().collect();
        Peer { owner: self.owner, instance: self.instance, observed: self.observed(), reported, is_silent }
    }
}

/// The addresses in the room of an entry, if they need no list.
fn near(observed: PackedAddress, reported: &[PackedAddress]) -> Option<[u8; 18]> {
    if reported.len() > NEAR {
        return None;
    }
    let mut bytes = [0; 18];
    let mut rooms = bytes.as_chunks_mut().0.iter_mut();
    *rooms.next()? = observed.to_ipv4()?;
    for (room, address) in rooms.zip(reported) {
        *room = address.to_ipv4().filter(|address| *address != NOTHING)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn entry(observed: &str, reported: &[&str]) -> Entry {
        let mut entry = Entry::new(PeerId([7; 32]), SessionId::from_wire(5), 3, address(observed));
        let packed: Vec<_> = reported.iter().map(|text| PackedAddress::from(address(text))).collect();
        entry.set_reported(&packed);
        entry
    }

    #[test]
    fn addresses_come_back_in_their_order_and_one_or_two_of_ipv4_need_no_list() {
        let lists: [(&[&str], bool); 8] = [
            (&[], false),
            (&["192.0.2.1:1935"], false),
            (&["10.0.0.2:1", "192.0.2.1:1935"], false),
            (&["255.255.255.255:0", "0.0.0.0:7"], false),
            (&["0.0.0.0:0", "192.0.2.1:1"], true),
            (&["192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:3"], true),
            (&["[2001:db8::4]:1"], true),
            (&["[2001:db8::4]:1", "10.1.2.3:65535", "[fe80::1]:0", "0.0.0.0:7"], true),
        ];
        for (reported, has_list) in lists {
            for observed in ["203.0.113.1:40000", "0.0.0.0:0", "[2001:db8::1]:6"] {
                let mut entry = entry(observed, reported);
                let told = |entry: &Entry| (entry.observed(), entry.reported().collect::<Vec<_>>());
                let expected: Vec<_> = reported.iter().map(|text| address(text)).collect();
                assert_eq!(told(&entry), (address(observed), expected.clone()));
                assert_eq!(entry.listed.is_some(), has_list || address(observed).is_ipv6(), "{observed} {reported:?}");
                assert!(entry.listed.as_ref().is_none_or(|list| list.len() == list.capacity()));
                for moved in ["[2001:db8::2]:1", "198.51.100.1:2"] {
                    entry.set_observed(address(moved));
                    assert_eq!(told(&entry), (address(moved), expected.clone()));
                }
                assert_eq!(entry.listed.is_some(), has_list);
                assert_eq!((entry.id, entry.owner, entry.instance), (PeerId([7; 32]), SessionId::from_wire(5), 3));
            }
        }
    }

    #[test]
    fn an_ipv4_address_is_one_however_it_is_written() {
        let entry = entry("[::ffff:192.0.2.1]:5", &["[::ffff:192.0.2.2]:6"]);
        assert_eq!(entry.observed(), address("192.0.2.1:5"));
        assert!(entry.reported().eq([address("192.0.2.2:6")]) && entry.listed.is_none());
    }
}
