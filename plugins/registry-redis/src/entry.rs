//! The value that Redis holds for a peer: which servers have the peer, since when, and its addresses.
//!
//! The format of an entry:
//!
//! | bytes | meaning |
//! |---|---|
//! | 1 | the format: 1 |
//! | 8 | the epoch of the server that published it, see [`Epoch`] |
//! | 1 | flags: 1 if the peer ID is proven, 2 if the session is silent |
//! | 7 | when the session began, in milliseconds since 1970, the highest byte first; later than all entries that the server found there |
//! | 1, then as many | the length of the server's name, and the name |
//! | 1 | the number of addresses |
//! | 1, 4 or 16, 2 for each address | its origin, with the highest bit set for IPv6; the IP address; the port, the highest byte first |
//!
//! If several servers have the peer, the value is one byte, 2, and the entries of all of them, each after its length in two bytes, the
//! highest first. The reader decides which entry counts, by [`Claim::precedes`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use introd_plugin::{Address, Origin};

use crate::claim::Claim;

/// The first byte of an entry.
const FORMAT: u8 = 1;
/// The first byte of a value with several entries.
const SEVERAL: u8 = 2;
/// The largest number of entries of one peer.
pub(crate) const MAX_ENTRIES: usize = 8;
const PROVEN: u8 = 1;
const SILENT: u8 = 2;
const IPV6: u8 = 0x80;
/// The largest number of addresses of an entry.
pub(crate) const MAX_ADDRESSES: usize = 16;

/// Identifies one run of a server: a random number. Entries of an earlier run are invalid. Processes that take over from each other are one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Epoch(pub(crate) [u8; 8]);

impl Epoch {
    /// The epoch as the server's key holds it.
    pub(crate) fn hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The entry of one server about a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) epoch: Epoch,
    pub(crate) claim: Claim,
    pub(crate) server: Vec<u8>,
    pub(crate) addresses: Vec<Address>,
}

impl Entry {
    pub(crate) fn encode(epoch: Epoch, claim: Claim, server: &str, addresses: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(18 + server.len() + addresses.len());
        bytes.push(FORMAT);
        bytes.extend(epoch.0);
        bytes.push(if claim.is_proven { PROVEN } else { 0 } | if claim.is_silent { SILENT } else { 0 });
        bytes.extend(&claim.since.to_be_bytes()[1..]);
        // `Settings::check` allows no longer name.
        bytes.push(u8::try_from(server.len()).unwrap_or(u8::MAX));
        bytes.extend(server.bytes().take(usize::from(u8::MAX)));
        bytes.extend(addresses);
        bytes
    }

    /// Reads a value. Entries of another format, and damaged ones, are left out.
    pub(crate) fn decode_all(bytes: &[u8]) -> Vec<Self> {
        let Some((SEVERAL, mut bytes)) = bytes.split_first().map(|(format, rest)| (*format, rest)) else {
            return Self::decode(bytes).into_iter().collect();
        };
        let mut entries = Vec::new();
        while let Some((len, rest)) = bytes.split_first_chunk::<2>()
            && let Some((entry, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
            && entries.len() < MAX_ENTRIES
        {
            entries.extend(Self::decode(entry));
            bytes = rest;
        }
        entries
    }

    /// Reads an entry; `None` if it has another format or is damaged.
    fn decode(bytes: &[u8]) -> Option<Self> {
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
        let flags = since[0];
        bytes.is_empty().then(|| Self {
            epoch: Epoch(*epoch),
            claim: Claim {
                is_proven: flags & PROVEN != 0,
                is_silent: flags & SILENT != 0,
                since: u64::from_be_bytes(*since) & (u64::MAX >> 8),
            },
            server: server.to_vec(),
            addresses,
        })
    }
}

/// Writes the first [`MAX_ADDRESSES`] addresses as they stand in an entry.
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

/// Reads what [`encode_addresses`] wrote.
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

    fn claim(is_proven: bool, is_silent: bool, since: u64) -> Claim {
        Claim { is_proven, is_silent, since }
    }

    #[test]
    fn entries_are_read_as_they_are_written() {
        let addresses = [
            address("192.0.2.1:1", Origin::Observed),
            address("[2001:db8::1]:65535", Origin::Reported),
            address("198.51.100.1:1935", Origin::Relay),
        ];
        let epoch = Epoch([1, 2, 3, 4, 5, 6, 7, 8]);
        for (is_proven, is_silent) in [(false, false), (false, true), (true, false), (true, true)] {
            let claim = claim(is_proven, is_silent, 77);
            let bytes = Entry::encode(epoch, claim, "a", &encode_addresses(&addresses));
            let entry = Entry { epoch, claim, server: b"a".to_vec(), addresses: addresses.to_vec() };
            assert_eq!(Entry::decode_all(&bytes), [entry]);
        }
        let bytes = Entry::encode(epoch, claim(false, false, 77), "a", &encode_addresses(&addresses));
        assert_eq!(epoch.hex(), "0102030405060708");
        for len in 0..bytes.len() {
            assert_eq!(Entry::decode_all(&bytes[..len]), [], "{len}");
        }
        assert_eq!(Entry::decode_all(&[&bytes[..], &[0]].concat()), []);
        assert_eq!(Entry::decode_all(&[&[3], &bytes[1..]].concat()), []);
        assert_eq!(decode_addresses(&encode_addresses(&addresses)), addresses);
    }

    #[test]
    fn several_entries_stand_side_by_side() {
        let entry = |number: u8| Entry::encode(Epoch([number; 8]), claim(false, false, 1), "a", &encode_addresses(&[]));
        let mut bytes = vec![SEVERAL];
        for number in 0..20 {
            let entry = entry(number);
            bytes.extend((entry.len() as u16).to_be_bytes());
            bytes.extend(entry);
        }
        let epochs = |bytes: &[u8]| Entry::decode_all(bytes).iter().map(|entry| entry.epoch.0[0]).collect::<Vec<_>>();
        assert_eq!(epochs(&bytes), [0, 1, 2, 3, 4, 5, 6, 7], "they are bounded");
        let one = entry(0).len() + 2;
        assert_eq!(epochs(&bytes[..1 + 2 * one + 5]), [0, 1], "what is cut off is left out");
        bytes[3] = 9;
        assert_eq!(epochs(&bytes[..1 + 2 * one]), [1], "what is of another format is left out");
        assert_eq!(epochs(&[SEVERAL]), []);
    }

    #[test]
    fn the_list_is_bounded() {
        let addresses = [address("192.0.2.1:1", Origin::Observed); 40];
        assert_eq!(decode_addresses(&encode_addresses(&addresses)).len(), MAX_ADDRESSES);
        let mut bytes = Entry::encode(Epoch([0; 8]), claim(false, false, 0), "", &encode_addresses(&addresses));
        bytes[18] = 17;
        bytes.extend([2, 192, 0, 2, 1, 0, 1]);
        assert_eq!(Entry::decode_all(&bytes), []);
    }
}
