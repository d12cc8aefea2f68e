//! Internet socket addresses with their origin (RFC 7016 §2.1.5).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::malformed::Malformed;
use super::take;

/// How an address came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Origin {
    /// Unknown, unspecified, or other. Some clients take a redirect to such an address to mean that the peer is gone.
    Unspecified = 0,
    /// Reported by the endpoint itself as the address of one of its interfaces.
    Reported = 1,
    /// Seen as the source of a packet by another endpoint: what a NAT made of the address.
    Observed = 2,
    /// A relay, proxy or introducer: ask again there.
    Relay = 3,
}

/// An address and its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TaggedAddress {
    /// The Internet address and UDP port.
    pub address: SocketAddr,
    /// How it came to be known.
    pub origin: Origin,
}

/// The bit that tells an IPv6 address from an IPv4 one.
const IS_IPV6: u8 = 0x80;

impl TaggedAddress {
    /// An address with its origin.
    pub fn new(address: SocketAddr, origin: Origin) -> Self {
        Self { address, origin }
    }

    /// Takes an address from the front of `input`. The reserved bits are ignored.
    pub fn take(input: &mut &[u8]) -> Result<Self, Malformed> {
        let flags = take::u8(input)?;
        let origin = match flags & 3 {
            1 => Origin::Reported,
            2 => Origin::Observed,
            3 => Origin::Relay,
            _ => Origin::Unspecified,
        };
        let ip: IpAddr = if flags & IS_IPV6 != 0 {
            Ipv6Addr::from(take::array::<16>(input)?).into()
        } else {
            Ipv4Addr::from(take::array::<4>(input)?).into()
        };
        Ok(Self { address: SocketAddr::new(ip, take::u16(input)?), origin })
    }

    /// How many bytes [`Self::put`] appends.
    pub(crate) fn encoded_len(&self) -> usize {
        if self.address.ip().to_canonical().is_ipv4() { 7 } else { 19 }
    }

    /// Appends the address. An IPv4 address mapped into IPv6 is written as the IPv4 address that it is.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self.address.ip().to_canonical() {
            IpAddr::V4(ip) => {
                out.push(self.origin as u8);
                out.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.push(IS_IPV6 | self.origin as u8);
                out.extend_from_slice(&ip.octets());
            }
        }
        out.extend_from_slice(&self.address.port().to_be_bytes());
    }
}

impl fmt::Display for TaggedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = match self.origin {
            Origin::Unspecified => "unspecified",
            Origin::Reported => "reported",
            Origin::Observed => "observed",
            Origin::Relay => "relay",
        };
        write!(f, "{} ({origin})", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_and_all_origins() {
        for text in ["192.0.2.2:1935", "[fd00::2]:56505"] {
            for origin in [Origin::Unspecified, Origin::Reported, Origin::Observed, Origin::Relay] {
                let address = TaggedAddress::new(text.parse().unwrap(), origin);
                let mut bytes = Vec::new();
                address.put(&mut bytes);
                for end in 0..bytes.len() {
                    assert!(TaggedAddress::take(&mut &bytes[..end]).is_err());
                }
                let mut input = &bytes[..];
                assert_eq!(TaggedAddress::take(&mut input), Ok(address));
                assert!(input.is_empty());
            }
        }
    }

    #[test]
    fn recorded_bytes() {
        let bytes = [0x7a, 0x7f, 0, 0, 1, 0xdc, 0xd9];
        let read = TaggedAddress::take(&mut &bytes[..]).unwrap();
        assert_eq!(read, TaggedAddress::new("127.0.0.1:56537".parse().unwrap(), Origin::Observed));
    }

    #[test]
    fn mapped_addresses_are_written_as_ipv4() {
        let mut bytes = Vec::new();
        TaggedAddress::new("[::ffff:192.0.2.1]:1".parse().unwrap(), Origin::Reported).put(&mut bytes);
        assert_eq!(bytes, [1, 192, 0, 2, 1, 0, 1]);
    }

    /// RFC 7016 §2, §2.1.5.
    #[test]
    fn reserved_bits_are_ignored_and_not_sent() {
        for flags in 0..=255u8 {
            let bytes = [&[flags][..], &[7; 18]].concat();
            let mut input = &bytes[..];
            let read = TaggedAddress::take(&mut input).unwrap();
            assert_eq!(read.origin as u8, flags & 0x03, "{flags:#x}");
            assert_eq!(read.address.is_ipv6(), flags & 0x80 != 0, "{flags:#x}");
            let mut written = Vec::new();
            read.put(&mut written);
            assert_eq!(written[0], flags & 0x83);
            assert_eq!(written.len() + input.len(), bytes.len());
        }
    }

    #[test]
    fn the_length_is_known_before() {
        for text in ["192.0.2.2:1935", "[fd00::2]:56505", "[::ffff:192.0.2.1]:1"] {
            let address = TaggedAddress::new(text.parse().unwrap(), Origin::Observed);
            let mut bytes = Vec::new();
            address.put(&mut bytes);
            assert_eq!(address.encoded_len(), bytes.len(), "{text}");
        }
    }
}
