//! Socket addresses in the kernel's layout.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// `sizeof(struct sockaddr_in)`.
const V4_LEN: usize = 16;
/// `sizeof(struct sockaddr_in6)`.
const V6_LEN: usize = 28;

/// Room for a `sockaddr_in` or a `sockaddr_in6`, kept as bytes so that reading what the kernel wrote needs no `unsafe`.
#[repr(C, align(4))]
#[derive(Clone, Copy)]
pub(super) struct SocketName([u8; V6_LEN]);

const _: () = assert!(size_of::<libc::sockaddr_in>() == V4_LEN && size_of::<libc::sockaddr_in6>() == V6_LEN);

impl SocketName {
    /// No address.
    pub(super) const EMPTY: Self = Self([0; V6_LEN]);

    /// The name in these bytes, which the kernel has written. Those that are too many are left out.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut name = Self::EMPTY;
        let len = bytes.len().min(V6_LEN);
        name.0[..len].copy_from_slice(&bytes[..len]);
        name
    }

    /// How many bytes a name of this family has; `None` if the family is not IP.
    pub(super) fn len_of(family: i32) -> Option<usize> {
        match family {
            libc::AF_INET => Some(V4_LEN),
            libc::AF_INET6 => Some(V6_LEN),
            _ => None,
        }
    }

    /// Writes `address`. Returns how many bytes of the name it fills.
    pub(super) fn set(&mut self, address: SocketAddr) -> usize {
        self.0 = [0; V6_LEN];
        self.0[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(v4) => {
                self.0[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
                self.0[4..8].copy_from_slice(&v4.ip().octets());
                V4_LEN
            }
            SocketAddr::V6(v6) => {
                self.0[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
                self.0[8..24].copy_from_slice(&v6.ip().octets());
                self.0[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
                V6_LEN
            }
        }
    }

    /// Reads the first `len` bytes; `None` for a family that is not IP.
    ///
    /// The flow label is left out: the addresses of two datagrams of one peer must compare equal.
    pub(super) fn get(&self, len: usize) -> Option<SocketAddr> {
        let bytes = &self.0;
        let family = i32::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
        let port = u16::from_be_bytes([bytes[2], bytes[3]]);
        if family == libc::AF_INET && len >= V4_LEN {
            let ip = Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]);
            return Some(SocketAddr::from((ip, port)));
        }
        if family == libc::AF_INET6 && len >= V6_LEN {
            let ip = Ipv6Addr::from(*bytes[8..].first_chunk::<16>()?);
            let scope = u32::from_ne_bytes(*bytes[24..].first_chunk::<4>()?);
            return Some(SocketAddrV6::new(ip, port, 0, scope).into());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_round_trip_and_agree_with_socket2() {
        for text in ["192.0.2.7:1935", "[2001:db8::7]:1935", "[fe80::1%3]:65535"] {
            let address: SocketAddr = text.parse().unwrap();
            let mut name = SocketName::EMPTY;
            let len = name.set(address);
            assert_eq!(name.get(len), Some(address));
            assert_eq!(name.get(len - 1), None);
            assert_eq!(SocketName::of(&name.0[..len]).get(len), Some(address));
            assert_eq!(SocketName::len_of(i32::from(u16::from_ne_bytes([name.0[0], name.0[1]]))), Some(len));
            assert_eq!(len, socket2::SockAddr::from(address).len() as usize);
        }
        assert_eq!(SocketName::EMPTY.get(V6_LEN), None);
        assert_eq!(SocketName::len_of(libc::AF_UNIX), None);
        assert_eq!(SocketName::of(&[1; 100]).0, [1; V6_LEN]);
    }
}
