//! A UDP socket that sends and receives in batches.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use crate::local::LocalAddress;
use crate::recv_batch::RecvBatch;
use crate::send_batch::SendBatch;
use crate::send_queue::{Flushed, SendQueue};
use crate::syscall::set_option;

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
    socket: Socket,
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

    /// The socket behind a descriptor that another process has passed on: one that [`UdpSocket::bind`] made there, with all that it has set.
    ///
    /// # Errors
    /// If it is no UDP socket that is bound to an address.
    pub fn adopt(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = Socket::from(descriptor);
        if socket.r#type()? != Type::DGRAM {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a UDP socket"));
        }
        let granted = BufferSizes { receive: socket.recv_buffer_size()?, send: socket.send_buffer_size()? };
        Self::bound(socket, granted)
    }

    /// Lets [`UdpSocket::bind_sibling`] bind more sockets to the same address and port. The kernel distributes the senders over
    /// all of them.
    pub(crate) fn share(&self) -> io::Result<()> {
        self.socket.set_reuse_port(true)
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
        socket.set_reuse_address(true)?;
        // Without this it would receive what other sockets of this machine have joined.
        match group {
            SocketAddr::V4(_) => socket.set_multicast_all_v4(false)?,
            SocketAddr::V6(_) => {
                socket.set_only_v6(true)?;
                socket.set_multicast_all_v6(false)?;
            }
        }
        let granted = set_buffers(&socket, BufferSizes { receive: receive_buffer, send: 0 })?;
        socket.bind(&group.into())?;
        Ok(Self { socket, address: group, bound: Some(LocalAddress::of(group)), granted })
    }

    /// Joins the multicast address that the socket is bound to at a network interface, by the kernel's index of it.
    pub(crate) fn join(&self, interface: u32) -> io::Result<()> {
        match self.address {
            SocketAddr::V4(group) => {
                self.socket.join_multicast_v4_n(group.ip(), &InterfaceIndexOrAddress::Index(interface))
            }
            SocketAddr::V6(group) => self.socket.join_multicast_v6(group.ip(), interface),
        }
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
    fn bound(socket: Socket, granted: BufferSizes) -> io::Result<Self> {
        let address = address_of(&socket)?;
        let local = LocalAddress::of(address);
        let bound = local.ip().is_some().then_some(local);
        Ok(Self { socket, address, bound, granted })
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
        batch.receive(self.socket.as_fd(), self.bound)
    }

    /// Sends all of `batch` that the kernel has room for, and drops the rest, as a network may. Returns how many were sent.
    pub fn send_or_drop(&self, batch: &mut SendBatch) -> usize {
        let Flushed { sent, .. } = self.send(batch);
        batch.discard();
        sent
    }

    /// Sends as much of `batch` as the kernel has room for. The rest stays in the batch.
    pub(crate) fn send(&self, batch: &mut SendBatch) -> Flushed {
        batch.flush(self.socket.as_fd(), self.bound.is_some())
    }

    /// Sends as much of `queue` as the kernel has room for. The bytes of its datagrams are in `buffer`.
    pub(crate) fn send_queue(&self, queue: &mut SendQueue, buffer: &[u8]) -> Flushed {
        queue.flush(buffer, self.socket.as_fd(), self.bound.is_some())
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

/// Sets what all sockets for sessions have set.
fn prepare(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.ip().is_unspecified() {
        let (level, name) = match address {
            SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
            SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
        };
        set_option(socket.as_fd(), level, name, 1)?;
    }
    forbid_fragmentation(socket, address)
}

/// The address and port that a socket is bound to.
fn address_of(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?.as_socket();
    address.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a UDP socket without an IP address"))
}

/// Has datagrams arrive as they were sent or not at all: sessions find out what a path carries by sending datagrams of that size, and IP
/// fragments would only seem to arrive as well. What the kernel has heard of a path by ICMP is left out of account, because anybody can
/// send that. A datagram that is longer than what the interface carries is refused (`EMSGSIZE`).
fn forbid_fragmentation(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    let fd = socket.as_fd();
    match address {
        SocketAddr::V4(_) => set_option(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE),
        SocketAddr::V6(_) => {
            set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE)?;
            set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, 1)
        }
    }
}

/// Asks for buffers of the sizes `wanted`. Returns the sizes that were granted.
fn set_buffers(socket: &Socket, wanted: BufferSizes) -> io::Result<BufferSizes> {
    set_receive_buffer(socket, wanted.receive)?;
    set_send_buffer(socket, wanted.send)?;
    granted_buffers(socket)
}

/// As [`set_buffers`], but buffers that are as large already stay as they are: to ask for what another process with CAP_NET_ADMIN has granted
/// may give less.
fn grow_buffers(socket: &Socket, wanted: BufferSizes) -> io::Result<BufferSizes> {
    let granted = granted_buffers(socket)?;
    if granted.receive < wanted.receive {
        set_receive_buffer(socket, wanted.receive)?;
    }
    if granted.send < wanted.send {
        set_send_buffer(socket, wanted.send)?;
    }
    granted_buffers(socket)
}

fn set_receive_buffer(socket: &Socket, size: usize) -> io::Result<()> {
    // With CAP_NET_ADMIN the system's limit does not apply. Without it SO_RCVBUF grants as much as the limit allows.
    let set = |name| set_option(socket.as_fd(), libc::SOL_SOCKET, name, size.try_into().unwrap_or(i32::MAX));
    set(libc::SO_RCVBUFFORCE).or_else(|_| set(libc::SO_RCVBUF))
}

fn set_send_buffer(socket: &Socket, size: usize) -> io::Result<()> {
    let set = |name| set_option(socket.as_fd(), libc::SOL_SOCKET, name, size.try_into().unwrap_or(i32::MAX));
    set(libc::SO_SNDBUFFORCE).or_else(|_| set(libc::SO_SNDBUF))
}

/// The sizes of a socket's buffers.
fn granted_buffers(socket: &Socket) -> io::Result<BufferSizes> {
    // The kernel doubles the size for its own bookkeeping, and reports the doubled size.
    Ok(BufferSizes { receive: socket.recv_buffer_size()? / 2, send: socket.send_buffer_size()? / 2 })
}
