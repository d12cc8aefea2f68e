//! A UDP socket that sends and receives in batches.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use crate::local::LocalAddress;
use crate::platform::{self, granted_buffers, prepare, prepare_multicast, set_receive_buffer, set_send_buffer};
use crate::recv_batch::RecvBatch;
use crate::send_batch::SendBatch;
use crate::send_queue::{Flushed, SendQueue};

/// How many bytes the kernel is asked to buffer in each direction of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufferSizes {
    /// For datagrams not yet received (`SO_RCVBUF`).
    pub receive: usize,
    /// For datagrams not yet sent (`SO_SNDBUF`).
    pub send: usize,
}

impl Default for BufferSizes {
    /// 4 MiB each. The kernel counts one to two kilobytes for a small datagram, so this holds a burst of a few thousand
    /// datagrams, for which one core needs some tens of milliseconds.
    fn default() -> Self {
        Self { receive: 4 << 20, send: 4 << 20 }
    }
}

/// A non-blocking UDP socket that works in batches and knows local addresses.
///
/// If it is bound to a wildcard address, the kernel reports the local address that each datagram came to, and each datagram in a
/// [`SendBatch`] names the address that it leaves from. If it is bound to one address, all datagrams come to and leave from that
/// address.
///
/// ```
/// use introd_udp::{BufferSizes, LocalAddress, RecvBatch, SendBatch, UdpSocket};
///
/// let bind = || UdpSocket::bind("127.0.0.1:0".parse().unwrap(), BufferSizes::default());
/// let (near, far) = (bind()?, bind()?);
/// let mut outgoing = SendBatch::new(64, 64 * 1280);
/// outgoing.push(far.local_address(), LocalAddress::ANY, b"a datagram")?;
/// outgoing.push(far.local_address(), LocalAddress::ANY, b"another")?;
/// near.send_or_drop(&mut outgoing);
///
/// let mut incoming = RecvBatch::new(64);
/// // Loopback delivers datagrams within the call that sends them.
/// assert_eq!(far.receive(&mut incoming)?, Some(2));
/// for datagram in incoming.datagrams() {
///     assert_eq!(datagram.from, near.local_address());
/// }
/// assert_eq!(far.receive(&mut incoming)?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct UdpSocket {
    socket: platform::Socket,
    address: SocketAddr,
    bound: Option<LocalAddress>,
    granted: BufferSizes,
}

impl UdpSocket {
    /// Binds `address`; port 0 stands for any free port. Fails with `AddrInUse` if any socket has the port, even one that shares it.
    ///
    /// An IPv6 socket serves IPv6 alone (`IPV6_V6ONLY`), so that one socket can be bound to `0.0.0.0` and another to `[::]`.
    ///
    /// # Errors
    /// Those of `socket`, `setsockopt` and `bind`.
    pub fn bind(address: SocketAddr, buffers: BufferSizes) -> io::Result<Self> {
        Self::bind_as(address, buffers, false)
    }

    /// Lets [`UdpSocket::bind_sibling`] bind more sockets to the same address and port. The kernel distributes the senders over
    /// all of them.
    pub(crate) fn share(&self) -> io::Result<()> {
        platform::share(self.socket.options())
    }

    /// Binds another socket to the address and port of this one, which must be [shared](UdpSocket::share).
    pub(crate) fn bind_sibling(&self, buffers: BufferSizes) -> io::Result<Self> {
        Self::bind_as(self.address, buffers, true)
    }

    /// A socket that receives what is sent to a multicast address and port, on the interfaces at which it is then joined. Other sockets
    /// and programs may receive the same.
    pub(crate) fn bind_multicast(group: SocketAddr, receive_buffer: usize) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(group), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        if group.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        let address = prepare_multicast(&socket, group)?;
        let granted = set_buffers(&socket, BufferSizes { receive: receive_buffer, send: 0 })?;
        socket.bind(&address.into())?;
        let socket = platform::Socket::new(socket)?;
        Ok(Self { socket, address: group, bound: Some(LocalAddress::of(group)), granted })
    }

    /// Joins the multicast address that the socket is bound to at a network interface, by the kernel's index of it.
    pub(crate) fn join(&self, interface: u32) -> io::Result<()> {
        match self.address {
            SocketAddr::V4(group) => {
                self.socket.options().join_multicast_v4_n(group.ip(), &InterfaceIndexOrAddress::Index(interface))
            }
            SocketAddr::V6(group) => self.socket.options().join_multicast_v6(group.ip(), interface),
        }
    }

    fn bind_as(address: SocketAddr, buffers: BufferSizes, shared: bool) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        if shared {
            platform::share(&socket)?;
        }
        prepare(&socket, address)?;
        let granted = set_buffers(&socket, buffers)?;
        socket.bind(&address.into())?;
        Self::bound(socket, granted)
    }

    /// Takes over a socket that another program has bound in its own way, such as a service manager, and sets what
    /// [`UdpSocket::bind`] would have set.
    ///
    /// # Errors
    /// If it is not bound to a port, if it is bound to `[::]` and takes IPv4 as well, and those of `setsockopt`.
    pub(crate) fn adopt_foreign(socket: std::net::UdpSocket, buffers: BufferSizes) -> io::Result<Self> {
        let socket = Socket::from(socket);
        let address = address_of(&socket)?;
        let refused = |why| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        if address.port() == 0 {
            return refused("the socket is not bound to a port");
        }
        if address.is_ipv6() && address.ip().is_unspecified() && !socket.only_v6()? {
            // Clients by IPv4 would have addresses that look like IPv6, and no other client could use them.
            return refused(
                "the socket takes IPv4 as well: set BindIPv6Only=ipv6-only, and pass another socket for 0.0.0.0",
            );
        }
        socket.set_nonblocking(true)?;
        prepare(&socket, address)?;
        let granted = grow_buffers(&socket, buffers)?;
        Self::bound(socket, granted)
    }

    /// A socket that is bound.
    pub(crate) fn bound(socket: Socket, granted: BufferSizes) -> io::Result<Self> {
        let address = address_of(&socket)?;
        let local = LocalAddress::of(address);
        let bound = local.ip().is_some().then_some(local);
        Ok(Self { socket: platform::Socket::new(socket)?, address, bound, granted })
    }

    /// The system's socket, for its options.
    #[cfg(unix)]
    pub(crate) fn options(&self) -> &Socket {
        self.socket.options()
    }

    /// The address and port that the socket is bound to.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// The buffer sizes that the kernel granted, which may be less than was asked for.
    pub(crate) fn granted(&self) -> BufferSizes {
        self.granted
    }

    /// Fills `batch` with the datagrams that wait. Returns how many were taken off the socket, the truncated ones included; `None` if
    /// none waits. Fewer than the batch holds means that none is left. 0 means that only errors of datagrams sent earlier were read:
    /// more may wait.
    ///
    /// # Errors
    /// If the socket can no longer be used.
    pub fn receive(&self, batch: &mut RecvBatch) -> io::Result<Option<usize>> {
        match self.try_receive(batch) {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// [`UdpSocket::receive`], with the error `WouldBlock` if no datagram waits.
    pub(crate) fn try_receive(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        batch.receive(&self.socket, self.bound)
    }

    /// Sends all of `batch` that the kernel has room for, and drops the rest, as a network may. Returns how many were sent.
    pub fn send_or_drop(&self, batch: &mut SendBatch) -> usize {
        let Flushed { sent, .. } = self.send(batch);
        batch.discard();
        sent
    }

    /// Sends as much of `batch` as the kernel has room for. The rest stays in the batch.
    pub(crate) fn send(&self, batch: &mut SendBatch) -> Flushed {
        batch.flush(&self.socket, self.bound.is_some())
    }

    /// Sends as much of `queue` as the kernel has room for. The bytes of its datagrams are in `buffer`.
    pub(crate) fn send_queue(&self, queue: &mut SendQueue, buffer: &[u8]) -> Flushed {
        queue.flush(buffer, &self.socket, self.bound.is_some())
    }
}

impl AsRef<platform::Socket> for UdpSocket {
    fn as_ref(&self) -> &platform::Socket {
        &self.socket
    }
}

/// The address and port that a socket is bound to.
fn address_of(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?.as_socket();
    address.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a UDP socket without an IP address"))
}

/// Asks for buffers of the sizes `wanted`. Returns the sizes that were granted.
fn set_buffers(socket: &Socket, wanted: BufferSizes) -> io::Result<BufferSizes> {
    set_receive_buffer(socket, wanted.receive)?;
    set_send_buffer(socket, wanted.send)?;
    granted_sizes(socket)
}

/// As [`set_buffers`], but buffers that are as large already stay as they are: to ask for what another process with CAP_NET_ADMIN has granted
/// may give less.
fn grow_buffers(socket: &Socket, wanted: BufferSizes) -> io::Result<BufferSizes> {
    let granted = granted_sizes(socket)?;
    if granted.receive < wanted.receive {
        set_receive_buffer(socket, wanted.receive)?;
    }
    if granted.send < wanted.send {
        set_send_buffer(socket, wanted.send)?;
    }
    granted_sizes(socket)
}

/// The sizes of a socket's buffers.
fn granted_sizes(socket: &Socket) -> io::Result<BufferSizes> {
    let (receive, send) = granted_buffers(socket)?;
    Ok(BufferSizes { receive, send })
}
