//! A socket, and the options that socket2 does not have.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;

/// Whether several sockets can have one port, so that the kernel spreads the senders over them.
pub const CAN_SHARE_PORTS: bool = true;

/// A socket that is bound and never blocks.
#[derive(Debug)]
pub(crate) struct Socket(socket2::Socket);

impl Socket {
    /// The socket, which was [prepared](prepare) before it was bound.
    ///
    /// # Errors
    /// None here. Other systems prepare a socket after it is bound.
    #[expect(clippy::unnecessary_wraps, reason = "the same signature as on other systems")]
    pub(crate) fn new(socket: socket2::Socket) -> io::Result<Self> {
        Ok(Self(socket))
    }

    /// The socket, for its options.
    pub(crate) fn options(&self) -> &socket2::Socket {
        &self.0
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sets what all sockets for sessions have set, before one is bound to `address`.
pub(crate) fn prepare(socket: &socket2::Socket, address: SocketAddr) -> io::Result<()> {
    if address.ip().is_unspecified() {
        let (level, name) = match address {
            SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
            SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
        };
        set_option(socket.as_fd(), level, name, 1)?;
    }
    forbid_fragmentation(socket, address)
}

/// Has datagrams arrive as they were sent or not at all: sessions find out what a path carries by sending datagrams of that size, and IP
/// fragments would only seem to arrive as well. What the kernel has heard of a path by ICMP is left out of account, because anybody can
/// send that. A datagram that is longer than what the interface carries is refused (`EMSGSIZE`).
fn forbid_fragmentation(socket: &socket2::Socket, address: SocketAddr) -> io::Result<()> {
    let fd = socket.as_fd();
    match address {
        SocketAddr::V4(_) => set_option(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE),
        SocketAddr::V6(_) => {
            set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE)?;
            set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, 1)
        }
    }
}

/// Lets several sockets receive what is sent to a multicast address, each only at the interfaces where it has joined. Returns the address to
/// bind it to.
pub(crate) fn prepare_multicast(socket: &socket2::Socket, group: SocketAddr) -> io::Result<SocketAddr> {
    socket.set_reuse_address(true)?;
    // Without this it would receive what other sockets of this machine have joined.
    match group {
        SocketAddr::V4(_) => socket.set_multicast_all_v4(false)?,
        SocketAddr::V6(_) => socket.set_multicast_all_v6(false)?,
    }
    Ok(group)
}

/// Lets other sockets that ask for it be bound to the same address and port.
pub(crate) fn share(socket: &socket2::Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

/// Asks for so many bytes for datagrams that wait to be received.
pub(crate) fn set_receive_buffer(socket: &socket2::Socket, size: usize) -> io::Result<()> {
    // With CAP_NET_ADMIN the system's limit does not apply. Without it SO_RCVBUF grants as much as the limit allows.
    let set = |name| set_option(socket.as_fd(), libc::SOL_SOCKET, name, size.try_into().unwrap_or(i32::MAX));
    set(libc::SO_RCVBUFFORCE).or_else(|_| set(libc::SO_RCVBUF))
}

/// Asks for so many bytes for datagrams that wait to be sent.
pub(crate) fn set_send_buffer(socket: &socket2::Socket, size: usize) -> io::Result<()> {
    let set = |name| set_option(socket.as_fd(), libc::SOL_SOCKET, name, size.try_into().unwrap_or(i32::MAX));
    set(libc::SO_SNDBUFFORCE).or_else(|_| set(libc::SO_SNDBUF))
}

/// The sizes of a socket's buffers: for receiving, and for sending.
pub(crate) fn granted_buffers(socket: &socket2::Socket) -> io::Result<(usize, usize)> {
    // The kernel doubles the size for its own bookkeeping, and reports the doubled size.
    Ok((socket.recv_buffer_size()? / 2, socket.send_buffer_size()? / 2))
}

/// Sets an integer socket option.
#[allow(unsafe_code)]
fn set_option(fd: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: the pointer is to a live int and the length is an int's.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            ptr::from_ref(&value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
