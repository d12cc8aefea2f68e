//! The values that pass between host and plugin, as Rust types.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::abi;

/// The ID of a peer: the SHA-256 digest of its certificate. Its text form is 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub [u8; 32]);

/// The ID of a group: the SHA-256 digest of its canonical groupspec. Its text form is 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub [u8; 32]);

/// A text is not an ID, because it is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidId;

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not 64 hexadecimal digits")
    }
}

impl std::error::Error for InvalidId {}

macro_rules! hexadecimal {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let digits = text.as_bytes();
                if digits.len() != 64 {
                    return Err(InvalidId);
                }
                let mut bytes = [0; 32];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    let digit = |digit: u8| char::from(digit).to_digit(16).ok_or(InvalidId);
                    *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
                }
                Ok(Self(bytes))
            }
        }
    };
}

hexadecimal!(PeerId);
hexadecimal!(GroupId);

impl From<abi::introd_peer_id> for PeerId {
    fn from(id: abi::introd_peer_id) -> Self {
        Self(id.bytes)
    }
}

impl From<PeerId> for abi::introd_peer_id {
    fn from(id: PeerId) -> Self {
        Self { bytes: id.0 }
    }
}

impl From<abi::introd_group_id> for GroupId {
    fn from(id: abi::introd_group_id) -> Self {
        Self(id.bytes)
    }
}

impl From<GroupId> for abi::introd_group_id {
    fn from(id: GroupId) -> Self {
        Self { bytes: id.0 }
    }
}

/// How an address became known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Origin {
    /// Nothing is known about where the address comes from. Some clients take a redirect to such an address as "the peer is gone".
    #[default]
    Unspecified = abi::INTROD_ORIGIN_UNSPECIFIED,
    /// The peer itself has reported the address.
    Reported = abi::INTROD_ORIGIN_REPORTED,
    /// The peer's packets came from the address.
    Observed = abi::INTROD_ORIGIN_OBSERVED,
    /// A server has the address. An asker that is redirected there repeats its lookup at that server.
    Relay = abi::INTROD_ORIGIN_RELAY,
}

/// An address, and how it became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The IP address and UDP port.
    pub socket: SocketAddr,
    /// How the address became known.
    pub origin: Origin,
}

impl Address {
    /// An address with its origin.
    pub fn new(socket: SocketAddr, origin: Origin) -> Self {
        Self { socket, origin }
    }
}

impl From<Address> for abi::introd_address {
    fn from(Address { socket, origin }: Address) -> Self {
        let (mut ip, family) = ([0; 16], if socket.is_ipv4() { 4 } else { 6 });
        match socket.ip() {
            IpAddr::V4(v4) => ip[..4].copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => ip = v6.octets(),
        }
        Self { ip, port: socket.port(), family, origin: origin as u8 }
    }
}

impl From<abi::introd_address> for Address {
    /// A family other than 4 counts as 6. An unknown origin counts as unspecified.
    fn from(raw: abi::introd_address) -> Self {
        let ip = match raw.family {
            4 => Ipv4Addr::new(raw.ip[0], raw.ip[1], raw.ip[2], raw.ip[3]).into(),
            _ => IpAddr::from(Ipv6Addr::from(raw.ip)),
        };
        let origin = match raw.origin {
            abi::INTROD_ORIGIN_REPORTED => Origin::Reported,
            abi::INTROD_ORIGIN_OBSERVED => Origin::Observed,
            abi::INTROD_ORIGIN_RELAY => Origin::Relay,
            _ => Origin::Unspecified,
        };
        Self { socket: SocketAddr::new(ip, raw.port), origin }
    }
}

/// A client: one connection of a peer. A peer that reconnects is another client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    /// Identifies the connection.
    pub id: u64,
    /// The peer that is connected.
    pub peer: PeerId,
}

impl From<abi::introd_client> for Client {
    fn from(raw: abi::introd_client) -> Self {
        Self { id: raw.id, peer: raw.peer.into() }
    }
}

impl From<Client> for abi::introd_client {
    fn from(client: Client) -> Self {
        Self { id: client.id, peer: client.peer.into() }
    }
}

/// Identifies a pending verdict or a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub(crate) u64);

impl Token {
    /// The token as a number of the ABI.
    pub fn get(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let id = PeerId(std::array::from_fn(|place| place as u8 * 7));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
        for text in ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"é".repeat(32), &"+".repeat(64)] {
            assert_eq!(text.parse::<PeerId>(), Err(InvalidId), "{text}");
        }
    }

    #[test]
    fn addresses_cross_the_boundary_unchanged() {
        for text in ["192.0.2.7:1935", "[2001:db8::7]:65535"] {
            for origin in [Origin::Unspecified, Origin::Reported, Origin::Observed, Origin::Relay] {
                let address = Address::new(text.parse().unwrap(), origin);
                assert_eq!(Address::from(abi::introd_address::from(address)), address);
            }
        }
        let odd = abi::introd_address { ip: [1; 16], port: 5, family: 77, origin: 99 };
        assert_eq!(Address::from(odd).origin, Origin::Unspecified);
    }
}
