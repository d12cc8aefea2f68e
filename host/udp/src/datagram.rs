//! Datagrams on their way to and from the kernel.

use std::net::SocketAddr;
use std::ops::Range;

use crate::local::LocalAddress;

/// One datagram to send. Its bytes are a range of a buffer.
pub(crate) struct Outgoing {
    pub(crate) to: SocketAddr,
    pub(crate) local: LocalAddress,
    pub(crate) bytes: Range<usize>,
}

/// What is known of one datagram that was received.
pub(crate) struct Received {
    /// How many bytes are in its slot.
    pub(crate) len: usize,
    /// Whether it was longer than its slot.
    pub(crate) truncated: bool,
    /// Its source; `None` if that is no IP address.
    pub(crate) from: Option<SocketAddr>,
    /// The address that it came to, if the socket reports it.
    pub(crate) local: LocalAddress,
}
