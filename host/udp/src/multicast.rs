//! Multicast on the local network: datagrams that are sent to all members of a multicast address, and do not leave the network.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use socket2::{Domain, Protocol, Socket, Type};

use crate::async_socket::AsyncUdpSocket;
use crate::recv_batch::RecvBatch;
use crate::socket::UdpSocket;

/// Over how many links a datagram goes: no router passes it on.
pub const HOPS: u32 = 1;
/// What the kernel buffers of what was sent to one multicast address, in bytes: some hundred small datagrams.
const RECEIVE_BUFFER: usize = 128 << 10;

/// Receives what is sent to one multicast address and port.
#[derive(Debug)]
pub struct MulticastReceiver {
    socket: AsyncUdpSocket,
    joined: BTreeSet<u32>,
}

impl MulticastReceiver {
    /// A receiver that has joined at no interface yet. Other sockets and programs may receive the same. An IPv6 address of the scope of a
    /// link needs the index of its interface for a scope ID.
    ///
    /// # Errors
    /// If a program has the port for itself, the address is no multicast address, or the kernel refuses.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    pub fn bind(group: SocketAddr) -> io::Result<Self> {
        if !group.ip().is_multicast() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a multicast address"));
        }
        let socket = AsyncUdpSocket::register(UdpSocket::bind_multicast(group, RECEIVE_BUFFER)?)?;
        Ok(Self { socket, joined: BTreeSet::new() })
    }

    /// Receives at exactly these network interfaces from now on, by the kernel's indices of them: at those that it has not joined yet, it
    /// joins. The kernel itself takes away what is joined at an interface that goes. Returns how many could not be joined.
    pub fn join(&mut self, interfaces: &BTreeSet<u32>) -> usize {
        self.joined.retain(|known| interfaces.contains(known));
        let mut failed = 0;
        for interface in interfaces {
            if self.joined.contains(interface) {
                continue;
            }
            match self.socket.join(*interface) {
                Ok(()) => drop(self.joined.insert(*interface)),
                // It is joined there since earlier.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => drop(self.joined.insert(*interface)),
                Err(error) => {
                    tracing::debug!(interface, %error, "a multicast address is not joined");
                    failed += 1;
                }
            }
        }
        failed
    }

    /// Fills `batch` with the datagrams that wait. Returns how many were taken off the socket. Only the last task to poll is woken.
    ///
    /// # Errors
    /// If the socket can no longer be used.
    pub fn poll_receive(&self, context: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<usize>> {
        self.socket.poll_receive(context, batch)
    }
}

/// Sends a datagram to a multicast address at one network interface, from an address of this machine and any port. It goes over [`HOPS`]
/// link, and to the receivers on this machine as well. The call does not wait.
///
/// # Errors
/// If the address is not one of the interface, or the kernel refuses or has no room.
pub fn send_multicast(from: SocketAddr, interface: u32, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    let (mut from, mut to) = (from, to);
    match (&from, &mut to) {
        (SocketAddr::V4(from), SocketAddr::V4(_)) => {
            socket.set_multicast_ttl_v4(HOPS)?;
            socket.set_multicast_loop_v4(true)?;
            // The kernel finds the interface by its address.
            socket.set_multicast_if_v4(from.ip())?;
        }
        (SocketAddr::V6(_), SocketAddr::V6(to)) => {
            socket.set_multicast_hops_v6(HOPS)?;
            socket.set_multicast_loop_v6(true)?;
            socket.set_multicast_if_v6(interface)?;
            to.set_scope_id(interface);
        }
        _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "addresses of two families")),
    }
    from.set_port(0);
    socket.bind(&from.into())?;
    socket.send_to(datagram, &to.into()).map(drop)
}
