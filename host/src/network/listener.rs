//! The configuration behind a socket.

use std::net::{IpAddr, SocketAddr};

/// An address that the server listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The adaptor that it belongs to, as its place in the configuration.
    pub adaptor: usize,
    /// The address that the socket is bound to.
    pub local: SocketAddr,
    /// The address at which others reach it, if the configuration names one for this port because the server is behind a NAT.
    pub public: Option<SocketAddr>,
}

impl Listener {
    /// The address at which others reach the port, if the configuration says so: that of the port, or the first address of `PublicIP` of
    /// the same family, with the same port number.
    pub fn public_address(&self, public_ips: &[IpAddr]) -> Option<SocketAddr> {
        let of_machine = || {
            let ip = public_ips.iter().find(|ip| ip.is_ipv4() == self.local.is_ipv4())?;
            Some(SocketAddr::new(*ip, self.local.port()))
        };
        self.public.or_else(of_machine)
    }

    /// The address at which the clients whose datagrams come to `local` reach the server.
    pub fn near_address(&self, local: SocketAddr, public_ips: &[IpAddr]) -> SocketAddr {
        self.public_address(public_ips).unwrap_or(local)
    }

    /// The address to tell others; `None` if the socket is bound to any address of this computer, and nothing says which one others
    /// use.
    pub fn advertised(&self, public_ips: &[IpAddr]) -> Option<SocketAddr> {
        self.public_address(public_ips).or_else(|| (!self.local.ip().is_unspecified()).then_some(self.local))
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
        let machine: SocketAddr = ([203, 0, 113, 7], 1935).into();
        let ips: [IpAddr; 3] = ["2001:db8::1".parse().unwrap(), machine.ip(), [203, 0, 113, 8].into()];
        for (local, public, ips, advertised, near) in [
            (any, None, &[][..], None, seen),
            (one, None, &[], Some(one), seen),
            (any, Some(public), &[], Some(public), public),
            (one, Some(public), &ips, Some(public), public),
            (any, None, &ips, Some(machine), machine),
            (one, None, &ips, Some(machine), machine),
            (any, None, &ips[..1], None, seen),
        ] {
            let listener = Listener { adaptor: 0, local, public };
            assert_eq!((listener.advertised(ips), listener.near_address(seen, ips)), (advertised, near));
        }
        let six = Listener { adaptor: 0, local: "[::]:5".parse().unwrap(), public: None };
        assert_eq!(six.advertised(&ips), Some("[2001:db8::1]:5".parse().unwrap()));
    }
}
