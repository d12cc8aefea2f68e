//! The control message that carries a datagram's local address: `IP_PKTINFO` and `IPV6_PKTINFO` (RFC 3542 §6.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::local::LocalAddress;

/// `sizeof(struct cmsghdr)` as the kernel has it: a length of `size_t` and two ints.
const HEADER: usize = size_of::<usize>() + 8;
/// Control messages begin at multiples of this.
const ALIGN: usize = size_of::<usize>();
/// The size of a control buffer in bytes: more than the one message asked for needs.
pub(super) const CONTROL_LEN: usize = 64;

const _: () = assert!(size_of::<libc::cmsghdr>() == HEADER);
const _: () = assert!(size_of::<libc::in_pktinfo>() == 12 && size_of::<libc::in6_pktinfo>() == 20);

/// A control buffer, as bytes so that reading what the kernel wrote needs no `unsafe`.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub(super) struct Control([u8; CONTROL_LEN]);

impl Control {
    /// No control messages.
    pub(super) const EMPTY: Self = Self([0; CONTROL_LEN]);

    /// Makes a datagram leave from `local`. Returns the length of the control data in bytes: 0 for [`LocalAddress::ANY`].
    pub(super) fn set_source(&mut self, local: LocalAddress) -> usize {
        match local.ip() {
            None => 0,
            Some(IpAddr::V4(ip)) => {
                // struct in_pktinfo { int ipi_ifindex; struct in_addr ipi_spec_dst, ipi_addr; }
                // Index 0: the route decides the interface, ipi_spec_dst is the source address.
                let mut info = [0; 12];
                info[4..8].copy_from_slice(&ip.octets());
                self.set(libc::IPPROTO_IP, libc::IP_PKTINFO, &info)
            }
            Some(IpAddr::V6(ip)) => {
                // struct in6_pktinfo { struct in6_addr ipi6_addr; unsigned ipi6_ifindex; }
                let mut info = [0; 20];
                info[..16].copy_from_slice(&ip.octets());
                info[16..].copy_from_slice(&local.scope().to_ne_bytes());
                self.set(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info)
            }
        }
    }

    fn set<const N: usize>(&mut self, level: i32, kind: i32, data: &[u8; N]) -> usize {
        const { assert!(HEADER + N.next_multiple_of(ALIGN) <= CONTROL_LEN) };
        self.0[..ALIGN].copy_from_slice(&(HEADER + N).to_ne_bytes());
        self.0[ALIGN..ALIGN + 4].copy_from_slice(&level.to_ne_bytes());
        self.0[ALIGN + 4..HEADER].copy_from_slice(&kind.to_ne_bytes());
        self.0[HEADER..HEADER + N].copy_from_slice(data);
        self.0[HEADER + N..HEADER + N.next_multiple_of(ALIGN)].fill(0);
        HEADER + N.next_multiple_of(ALIGN)
    }

    /// The local address in the first `len` bytes; [`LocalAddress::ANY`] if they hold none.
    pub(super) fn destination(&self, len: usize) -> LocalAddress {
        let mut rest = self.0.get(..len).unwrap_or(&self.0);
        // Each turn consumes at least one header.
        while let Some((message, after)) = split_message(rest) {
            if let Some(local) = message.local() {
                return local;
            }
            rest = after;
        }
        LocalAddress::ANY
    }
}

struct Message<'a> {
    level: i32,
    kind: i32,
    data: &'a [u8],
}

impl Message<'_> {
    fn local(&self) -> Option<LocalAddress> {
        match (self.level, self.kind) {
            // ipi_spec_dst, not ipi_addr: the latter may be a broadcast address, from which nothing can be sent.
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let ip = Ipv4Addr::from(*self.data.get(4..)?.first_chunk::<4>()?);
                Some(LocalAddress::new(ip.into(), 0))
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let ip = Ipv6Addr::from(*self.data.first_chunk::<16>()?);
                let index = u32::from_ne_bytes(*self.data.get(16..)?.first_chunk::<4>()?);
                // A multicast group cannot be the source of the reply.
                Some(if ip.is_multicast() { LocalAddress::ANY } else { LocalAddress::new(ip.into(), index) })
            }
            _ => None,
        }
    }
}

/// The first control message of `bytes`, and the bytes after it; `None` at the end or if a length is wrong.
fn split_message(bytes: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let len = usize::from_ne_bytes(*bytes.first_chunk()?);
    let level = i32::from_ne_bytes(*bytes.get(ALIGN..)?.first_chunk()?);
    let kind = i32::from_ne_bytes(*bytes.get(ALIGN + 4..)?.first_chunk()?);
    let data = bytes.get(HEADER..len)?;
    let after = bytes.get(len.checked_next_multiple_of(ALIGN)?..).unwrap_or_default();
    Some((Message { level, kind, data }, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_reads_back_as_destination() {
        for local in [
            LocalAddress::new("192.0.2.9".parse().unwrap(), 0),
            LocalAddress::new("2001:db8::9".parse().unwrap(), 0),
            LocalAddress::new("fe80::9".parse().unwrap(), 7),
        ] {
            let mut control = Control::EMPTY;
            let len = control.set_source(local);
            assert!(len > 0);
            assert_eq!(control.destination(len), local);
            for short in 0..HEADER + 12 {
                assert_eq!(control.destination(short), LocalAddress::ANY);
            }
        }
        let mut control = Control::EMPTY;
        assert_eq!(control.set_source(LocalAddress::ANY), 0);
    }

    #[test]
    fn another_message_in_front_is_skipped() {
        let local = LocalAddress::new("192.0.2.9".parse().unwrap(), 0);
        let mut info = Control::EMPTY;
        let info_len = info.set_source(local);
        let mut both = Control::EMPTY;
        let first = both.set(libc::SOL_SOCKET, libc::SCM_TIMESTAMP, &[1; 4]);
        both.0[first..first + info_len].copy_from_slice(&info.0[..info_len]);
        assert_eq!(both.destination(first + info_len), local);
    }

    #[test]
    fn wrong_lengths_end_the_walk() {
        for len in [0, 1, HEADER - 1, CONTROL_LEN + 1, usize::MAX] {
            let mut control = Control::EMPTY;
            control.set_source(LocalAddress::new("192.0.2.9".parse().unwrap(), 0));
            control.0[..ALIGN].copy_from_slice(&len.to_ne_bytes());
            assert_eq!(control.destination(CONTROL_LEN), LocalAddress::ANY);
        }
    }
}
