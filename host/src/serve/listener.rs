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

impl Listener {
    /// The address at which clients reach the server that came to `local`.
    pub fn near_address(&self, local: SocketAddr) -> SocketAddr {
        self.public.unwrap_or(local)
    }

    /// The address to tell others, unless all that is known is "any address of this machine".
    pub fn advertised(&self) -> Option<SocketAddr> {
        self.public.or_else(|| (!self.local.ip().is_unspecified()).then_some(self.local))
    }
}
