//! Notices of the kernel that the machine's addresses, routes or interfaces have changed (rtnetlink).

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use tokio::io::unix::AsyncFd;

/// The header of a message: its length, kind, flags, number and sender.
const HEADER: usize = 16;
/// Messages begin at multiples of so many bytes.
const ALIGNMENT: usize = 4;
/// The kernel puts several messages into one datagram, and makes none that is larger.
const MAX_DATAGRAM: usize = 32 * 1024;
/// So many datagrams are read at a time; the others are another change.
const MAX_DATAGRAMS: usize = 64;

/// Waits for changes of the machine's addresses, routes and interfaces. What has changed it does not say: the kernel is asked for that.
#[derive(Debug)]
pub struct NetworkChanges {
    socket: AsyncFd<OwnedFd>,
    buffer: Box<[u8]>,
}

impl NetworkChanges {
    /// Notices changes from now on.
    ///
    /// # Errors
    /// If the system has no netlink, or does not permit its use.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    #[allow(unsafe_code)]
    pub fn new() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // No protocol is that of routes and addresses.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        let groups = libc::RTMGRP_LINK
            | libc::RTMGRP_IPV4_IFADDR
            | libc::RTMGRP_IPV4_ROUTE
            | libc::RTMGRP_IPV6_IFADDR
            | libc::RTMGRP_IPV6_ROUTE;
        bind(&socket, &SocketAddrNetlink::new(0, groups.cast_unsigned()))?;
        // SAFETY: an `OwnedFd` always returns the same descriptor, and closes it only when it is dropped, which `AsyncFd` does after it
        // has removed the descriptor from the runtime.
        let socket = unsafe { AsyncFd::register(socket)? };
        Ok(Self { socket, buffer: vec![0; MAX_DATAGRAM].into() })
    }

    /// Waits until something has changed. Changes that come together are one.
    ///
    /// Nothing is lost if this is dropped while it waits.
    ///
    /// # Errors
    /// If the socket can no longer be used.
    pub async fn changed(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.socket.readable().await?;
            let mut is_change = false;
            for _ in 0..MAX_DATAGRAMS {
                let buffer = &mut self.buffer;
                let read = ready.try_io(|socket| Ok(recv(socket, &mut buffer[..], RecvFlags::DONTWAIT)?));
                match read {
                    Ok(Ok((len, _))) => is_change |= tells_of_change(buffer.get(..len).unwrap_or_default()),
                    // Messages were lost for want of room.
                    Ok(Err(error)) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => is_change = true,
                    Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => (),
                    Ok(Err(error)) => return Err(error),
                    // No more is there.
                    Err(_) => break,
                }
            }
            if is_change {
                return Ok(());
            }
        }
    }
}

/// Whether a datagram has a message that an address, a route or an interface is new, different or gone. What is malformed ends it.
fn tells_of_change(mut datagram: &[u8]) -> bool {
    while let Some(header) = datagram.first_chunk::<HEADER>() {
        let [a, b, c, d, e, f, ..] = *header;
        let (len, kind) = (u32::from_ne_bytes([a, b, c, d]), u16::from_ne_bytes([e, f]));
        let Some(len) = usize::try_from(len).ok().filter(|len| (HEADER..=datagram.len()).contains(len)) else { break };
        if is_change(kind) {
            return true;
        }
        datagram = datagram.get(len.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
    }
    false
}

fn is_change(kind: u16) -> bool {
    matches!(
        kind,
        libc::RTM_NEWLINK
            | libc::RTM_DELLINK
            | libc::RTM_NEWADDR
            | libc::RTM_DELADDR
            | libc::RTM_NEWROUTE
            | libc::RTM_DELROUTE
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of that kind, as long as it says or as `len` says, filled up to the next one.
    fn message(kind: u16, payload: usize, len: Option<u32>) -> Vec<u8> {
        let whole = HEADER + payload;
        let len = len.unwrap_or(u32::try_from(whole).unwrap());
        let mut bytes = [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10]].concat();
        bytes.resize(whole.next_multiple_of(ALIGNMENT), 0);
        bytes
    }

    #[test]
    fn addresses_routes_and_interfaces_that_change_are_changes_and_nothing_else() {
        // RTM_NEWLINK 16, RTM_DELLINK 17, RTM_NEWADDR 20, RTM_DELADDR 21, RTM_NEWROUTE 24, RTM_DELROUTE 25.
        let changes: Vec<u16> = (0..200).filter(|kind| tells_of_change(&message(*kind, 8, None))).collect();
        assert_eq!(changes, [16, 17, 20, 21, 24, 25]);
    }

    #[test]
    fn every_message_of_a_datagram_is_read() {
        let neighbour = message(28, 13, None);
        let mut datagram = [neighbour.clone(), neighbour.clone(), message(20, 8, None)].concat();
        assert!(tells_of_change(&datagram));
        // The last one may lack what fills it up.
        datagram.truncate(2 * neighbour.len() + HEADER + 8);
        assert!(tells_of_change(&datagram));
        assert!(!tells_of_change(&[neighbour.clone(), neighbour].concat()));
    }

    #[test]
    fn what_is_malformed_is_no_change_and_ends() {
        assert!(!tells_of_change(&[]));
        let whole = message(20, 8, None);
        for len in 0..whole.len() {
            assert!(!tells_of_change(&whole[..len]), "{len}");
        }
        for len in [0, 1, 15, 1 << 20, u32::MAX] {
            let datagram = [message(28, 8, Some(len)), whole.clone()].concat();
            assert!(!tells_of_change(&datagram), "{len}");
        }
    }

    #[test]
    fn the_kernel_lets_changes_be_noticed() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async { NetworkChanges::new().unwrap() });
    }
}
