//! What a socket stands for in the configuration.

use std::net::SocketAddr;

/// An address that the server listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The adaptor that it belongs to, by its place in the configuration.
    pub adaptor: usize,
    /// What it is bound to.
    pub local: SocketAddr,
    /// The address to tell others, if it is another one: behind a NAT of the server's own.
    pub public: Option<SocketAddr>,
}
