//! What stands in Redis of a peer: whose it is, since when, and its addresses.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the format: 1 |
//! | 8 | the epoch of the server that published it: a random number, another one at each start |
//! | 8 | when it did, in milliseconds since 1970, the highest byte first |
//! | 1, and so many | the server's name |
//! | 1 | how many addresses follow |
//! | 1, 4 or 16, 2 each | origin, with the highest bit set for IPv6; address; port, the highest byte first |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use introd_plugin::{Address, Origin};

const FORMAT: u8 = 1;
const IPV6: u8 = 0x80;
/// The most addresses of an entry.
pub(crate) const MAX_ADDRESSES: usize = 16;

/// A server's start: nothing that it published before counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Epoch(pub(crate) [u8; 8]);

impl Epoch {
    /// What the heartbeat key says.
    pub(crate) fn hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) epoch: Epoch,
    pub(crate) since: u64,
    pub(crate) server: Vec<u8>,
    pub(crate) addresses: Vec<Address>,
}

impl Entry {
    pub(crate) fn encode(epoch: Epoch, since: u64, server: &str, addresses: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(18 + server.len() + addresses.len());
        bytes.push(FORMAT);
        bytes.extend(epoch.0);
        bytes.extend(since.to_be_bytes());
        // Settings allow no longer ones.
        bytes.push(u8::try_from(server.len()).unwrap_or(u8::MAX));
        bytes.extend(server.bytes().take(usize::from(u8::MAX)));
        bytes.extend(addresses);
        bytes
    }

    /// `None` if it is not one of this format: another version's, or damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (format, bytes) = bytes.split_first()?;
        if *format != FORMAT {
            return None;
        }
        let (epoch, bytes) = bytes.split_first_chunk::<8>()?;
        let (since, bytes) = bytes.split_first_chunk::<8>()?;
        let (len, bytes) = bytes.split_first()?;
        let (server, bytes) = bytes.split_at_checked(usize::from(*len))?;
        let (count, mut bytes) = bytes.split_first()?;
        if usize::from(*count) > MAX_ADDRESSES {
            return None;
        }
        let mut addresses = Vec::with_capacity(usize::from(*count));
        for _ in 0..*count {
            addresses.push(take_address(&mut bytes)?);
        }
        bytes.is_empty().then(|| Self {
            epoch: Epoch(*epoch),
            since: u64::from_be_bytes(*since),
            server: server.to_vec(),
            addresses,
        })
    }
}

/// The first [`MAX_ADDRESSES`] addresses, as an entry has them.
pub(crate) fn encode_addresses(addresses: &[Address]) -> Box<[u8]> {
    let addresses = &addresses[..addresses.len().min(MAX_ADDRESSES)];
    let mut bytes = Vec::with_capacity(1 + addresses.len() * 19);
    bytes.push(addresses.len() as u8);
    for address in addresses {
        let origin = address.origin as u8;
        match address.socket.ip().to_canonical() {
            IpAddr::V4(ip) => {
                bytes.push(origin);
                bytes.extend(ip.octets());
            }
            IpAddr::V6(ip) => {
                bytes.push(origin | IPV6);
                bytes.extend(ip.octets());
            }
        }
        bytes.extend(address.socket.port().to_be_bytes());
    }
    bytes.into_boxed_slice()
}

/// What [`encode_addresses`] wrote.
pub(crate) fn decode_addresses(bytes: &[u8]) -> Vec<Address> {
    let Some((_, mut bytes)) = bytes.split_first() else { return Vec::new() };
    std::iter::from_fn(|| take_address(&mut bytes)).collect()
}

fn take_address(bytes: &mut &[u8]) -> Option<Address> {
    let (kind, rest) = bytes.split_first()?;
    let (ip, rest) = if kind & IPV6 == 0 {
        let (ip, rest) = rest.split_first_chunk::<4>()?;
        (IpAddr::V4(Ipv4Addr::from(*ip)), rest)
    } else {
        let (ip, rest) = rest.split_first_chunk::<16>()?;
        (IpAddr::V6(Ipv6Addr::from(*ip)), rest)
    };
    let (port, rest) = rest.split_first_chunk::<2>()?;
    *bytes = rest;
    let origin = match kind & !IPV6 {
        1 => Origin::Reported,
        2 => Origin::Observed,
        3 => Origin::Relay,
        _ => Origin::Unspecified,
    };
    Some(Address::new(SocketAddr::new(ip, u16::from_be_bytes(*port)), origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str, origin: Origin) -> Address {
        Address::new(text.parse().unwrap(), origin)
    }

    #[test]
    fn entries_are_read_as_they_are_written() {
        let addresses = [
            address("192.0.2.1:1", Origin::Observed),
            address("[2001:db8::1]:65535", Origin::Reported),
            address("198.51.100.1:1935", Origin::Relay),
        ];
        let epoch = Epoch([1, 2, 3, 4, 5, 6, 7, 8]);
        let bytes = Entry::encode(epoch, 77, "a", &encode_addresses(&addresses));
        let entry = Entry::decode(&bytes).unwrap();
        assert_eq!(entry, Entry { epoch, since: 77, server: b"a".to_vec(), addresses: addresses.to_vec() });
        assert_eq!(epoch.hex(), "0102030405060708");
        for len in 0..bytes.len() {
            assert_eq!(Entry::decode(&bytes[..len]), None, "{len}");
        }
        assert_eq!(Entry::decode(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(Entry::decode(&[&[2], &bytes[1..]].concat()), None);
        assert_eq!(decode_addresses(&encode_addresses(&addresses)), addresses);
    }

    #[test]
    fn the_list_is_bounded() {
        let addresses = [address("192.0.2.1:1", Origin::Observed); 40];
        assert_eq!(decode_addresses(&encode_addresses(&addresses)).len(), MAX_ADDRESSES);
        let mut bytes = Entry::encode(Epoch([0; 8]), 0, "", &encode_addresses(&addresses));
        bytes[18] = 17;
        bytes.extend([2, 192, 0, 2, 1, 0, 1]);
        assert_eq!(Entry::decode(&bytes), None);
    }
}
