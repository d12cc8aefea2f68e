//! Where datagrams come from and go to.

use std::net::SocketAddr;

/// Names an interface of the driver's: a socket, or one local address of a socket. The engine only carries it around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceId(pub u32);

/// Where a datagram is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The interface that it should leave from: the one that the packet it answers came in by. A driver whose interface of that
    /// name cannot reach `to` (the other address family) takes another.
    pub interface: InterfaceId,
    /// The destination.
    pub to: SocketAddr,
}
