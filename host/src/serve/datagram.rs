//! A datagram of a session that does not go to the endpoint at once.

use std::net::SocketAddr;

/// A datagram of a session that waits, or goes to the worker that has the session.
pub struct SessionDatagram<I> {
    /// Where it came in. A worker numbers interfaces for itself; between workers they go by socket and address.
    pub interface: I,
    /// Where it came from.
    pub from: SocketAddr,
    /// The datagram.
    pub bytes: Box<[u8]>,
}

impl<I> SessionDatagram<I> {
    /// The same datagram, whose interface goes by another name.
    pub fn at<J>(self, interface: J) -> SessionDatagram<J> {
        SessionDatagram { interface, from: self.from, bytes: self.bytes }
    }
}
