//! A worker's UDP socket.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use socket2::{Domain, Protocol, Socket, Type};

use super::local::LocalAddress;
use super::recv_batch::RecvBatch;
use super::send_batch::{Flush, SendBatch};
use super::syscall::set_option;

/// Bytes of kernel memory to ask for on each side of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufferSizes {
    /// For datagrams not yet received (`SO_RCVBUF`).
    pub receive: usize,
    /// For datagrams not yet sent (`SO_SNDBUF`).
    pub send: usize,
}

impl Default for BufferSizes {
    /// 4 MiB each. The kernel charges one to two kilobytes for a small datagram, so that is a burst of a few thousand,
    /// some tens of milliseconds of what one core can serve.
    fn default() -> Self {
        Self { receive: 4 << 20, send: 4 << 20 }
    }
}

/// A non-blocking UDP socket that works in batches and knows local addresses.
///
/// Bound to a wildcard address it learns from the kernel which local address each datagram came to, and sends from the
/// address a [`SendBatch`] names. Bound to one address, all come to and leave from that.
#[derive(Debug)]
pub struct UdpSocket {
    socket: Socket,
    address: SocketAddr,
    bound: Option<LocalAddress>,
    granted: BufferSizes,
}

impl UdpSocket {
    /// Binds `address`; port 0 takes a free one. Fails with `AddrInUse` if any socket has the port, even a sharing one.
    ///
    /// An IPv6 socket serves IPv6 alone (`IPV6_V6ONLY`), so that `0.0.0.0` and `[::]` can be listened on side by side.
    ///
    /// # Errors
    /// Those of `socket`, `setsockopt` and `bind`.
    pub fn bind(address: SocketAddr, buffers: BufferSizes) -> io::Result<Self> {
        Self::bind_as(address, buffers, false)
    }

    /// Lets more sockets bind the same address and port, by [`UdpSocket::bind_sibling`]; the kernel spreads the senders
    /// over all of them.
    ///
    /// # Errors
    /// Those of `setsockopt`.
    pub fn share(&self) -> io::Result<()> {
        self.socket.set_reuse_port(true)
    }

    /// Binds another socket to the address and port of this one, which must be [shared](UdpSocket::share).
    ///
    /// # Errors
    /// As for [`UdpSocket::bind`].
    pub fn bind_sibling(&self, buffers: BufferSizes) -> io::Result<Self> {
        Self::bind_as(self.address, buffers, true)
    }

    fn bind_as(address: SocketAddr, buffers: BufferSizes, shared: bool) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        if shared {
            socket.set_reuse_port(true)?;
        }
        if address.ip().is_unspecified() {
            let (level, name) = match address {
                SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
                SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
            };
            set_option(socket.as_fd(), level, name, 1)?;
        }
        let granted = grow_buffers(&socket, buffers)?;
        socket.bind(&address.into())?;
        let address = socket
            .local_addr()?
            .as_socket()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a UDP socket without an IP address"))?;
        let local = LocalAddress::of(address);
        let bound = local.ip().is_some().then_some(local);
        Ok(Self { socket, address, bound, granted })
    }

    /// The address and port it is bound to.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// The buffer sizes the kernel granted, which may be less than was asked for.
    pub fn granted(&self) -> BufferSizes {
        self.granted
    }

    /// Fills `batch` with what waits; returns how many datagrams were taken off the socket, truncated ones included.
    /// Fewer than the batch holds means that none is left. 0 means that only errors of earlier datagrams were read:
    /// there may be more to receive.
    ///
    /// # Errors
    /// `WouldBlock` if nothing waits. Any other error says that the socket is of no use any more.
    pub fn receive(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        batch.receive(self.socket.as_fd(), self.bound)
    }

    /// Sends what `batch` holds. On [`Flush::Blocked`] the rest stays in the batch.
    pub fn send(&self, batch: &mut SendBatch) -> Flush {
        batch.flush(self.socket.as_fd(), self.bound.is_some())
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Asks for `wanted`; returns what was granted.
fn grow_buffers(socket: &Socket, wanted: BufferSizes) -> io::Result<BufferSizes> {
    // With CAP_NET_ADMIN the system's limit does not apply; without it SO_RCVBUF gives as much as the limit allows.
    let grow =
        |name, size: usize| set_option(socket.as_fd(), libc::SOL_SOCKET, name, size.try_into().unwrap_or(i32::MAX));
    grow(libc::SO_RCVBUFFORCE, wanted.receive).or_else(|_| grow(libc::SO_RCVBUF, wanted.receive))?;
    grow(libc::SO_SNDBUFFORCE, wanted.send).or_else(|_| grow(libc::SO_SNDBUF, wanted.send))?;
    // The kernel doubles the figure for its own bookkeeping and reports it doubled.
    Ok(BufferSizes { receive: socket.recv_buffer_size()? / 2, send: socket.send_buffer_size()? / 2 })
}
