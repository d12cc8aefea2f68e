//! The configuration behind a socket.

use std::net::SocketAddr;

/// An address that the server listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The adaptor that it belongs to, as its place in the configuration.
    pub adaptor: usize,
    /// The address that the socket is bound to.
    pub local: SocketAddr,
    /// The address at which others reach it, if that is another one because the server is behind a NAT.
    pub public: Option<SocketAddr>,
}

impl Listener {
    /// The address at which the clients whose datagrams come to `local` reach the server.
    pub fn near_address(&self, local: SocketAddr) -> SocketAddr {
        self.public.unwrap_or(local)
    }

    /// The address to tell others; `None` if the socket is bound to any address of this computer.
    pub fn advertised(&self) -> Option<SocketAddr> {
        self.public.or_else(|| (!self.local.ip().is_unspecified()).then_some(self.local))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_are_told_is_the_public_address_or_one_that_is_bound() {
        let [any, one, public, seen]: [SocketAddr; 4] =
            [([0, 0, 0, 0], 1935), ([192, 0, 2, 1], 1935), ([198, 51, 100, 7], 443), ([192, 0, 2, 9], 1935)]
                .map(Into::into);
        for (local, public, advertised, near) in [
            (any, None, None, seen),
            (one, None, Some(one), seen),
            (any, Some(public), Some(public), public),
            (one, Some(public), Some(public), public),
        ] {
            let listener = Listener { adaptor: 0, local, public };
            assert_eq!((listener.advertised(), listener.near_address(seen)), (advertised, near));
        }
    }
}
