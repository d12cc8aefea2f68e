//! The ports of the relay, and by which addresses peers reach them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use introd_config::Listen;
use introd_relay::Families;
use introd_udp::{BindError, BufferSizes, UdpSocket};
use rtmfp::is_private;

use super::{Faces, OfferedPorts};

/// How much the kernel buffers for one socket of the relay, in each direction: a burst of some hundred datagrams. There are many of these sockets.
const BUFFERS: BufferSizes = BufferSizes { receive: 1 << 20, send: 1 << 20 };

/// A socket of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bound {
    /// Its place among all sockets.
    socket: usize,
    local: SocketAddr,
    public: Option<SocketAddr>,
}

/// A port: a socket of each address family, or of one.
#[derive(Clone, Copy, Debug, Default)]
struct BoundPort {
    v4: Option<Bound>,
    v6: Option<Bound>,
}

impl BoundPort {
    fn of_family(&self, ip: IpAddr) -> Option<Bound> {
        if ip.is_ipv4() { self.v4 } else { self.v6 }
    }

    fn each(&self) -> impl Iterator<Item = Bound> + use<> {
        [self.v4, self.v6].into_iter().flatten()
    }
}

/// The ports of the relay.
#[derive(Debug)]
pub(super) struct BoundPorts {
    ports: Vec<BoundPort>,
    are_adopted: bool,
}

/// The sockets of each port, by their places: IPv4 and IPv6.
pub(super) type Places = Vec<[Option<usize>; 2]>;

impl BoundPorts {
    /// Binds the ports. An address that is optional is left out on a machine without IPv6.
    ///
    /// # Errors
    /// If an address cannot be bound.
    pub(super) fn bind(ports: &[Vec<Listen>]) -> Result<(Self, Vec<UdpSocket>), BindError> {
        let (mut bound, mut sockets) = (Vec::new(), Vec::new());
        for port in ports {
            let mut families = BoundPort::default();
            for listen in port {
                let address = listen.local;
                let socket = match UdpSocket::bind(address, BUFFERS).map_err(|source| BindError { address, source }) {
                    Err(error) if listen.is_optional && error.is_ipv6_missing() => continue,
                    socket => socket?,
                };
                let local = socket.local_address();
                let its = Some(Bound { socket: sockets.len(), local, public: listen.public });
                match local {
                    SocketAddr::V4(_) => families.v4 = its,
                    SocketAddr::V6(_) => families.v6 = its,
                }
                sockets.push(socket);
            }
            bound.push(families);
        }
        Ok((Self { ports: bound, are_adopted: false }, sockets))
    }

    /// The ports of another process's relay, in the place of those that would be bound; `None` if they are others.
    pub(super) fn adopt(ports: &[Vec<Listen>], offered: OfferedPorts) -> Option<(Self, Vec<UdpSocket>)> {
        if ports.len() != offered.len() {
            return None;
        }
        let (mut bound, mut sockets) = (Vec::new(), Vec::new());
        for (port, offered) in ports.iter().zip(offered) {
            let mut families = BoundPort::default();
            let mut wanted: Vec<&Listen> = port.iter().collect();
            for socket in offered {
                let local = socket.local_address();
                let fits = |listen: &&Listen| {
                    listen.local.ip() == local.ip() && [0, local.port()].contains(&listen.local.port())
                };
                let listen = wanted.swap_remove(wanted.iter().position(fits)?);
                let its = Some(Bound { socket: sockets.len(), local, public: listen.public });
                match local {
                    SocketAddr::V4(_) => families.v4 = its,
                    SocketAddr::V6(_) => families.v6 = its,
                }
                sockets.push(socket);
            }
            if !wanted.iter().all(|listen| listen.is_optional) {
                return None;
            }
            bound.push(families);
        }
        Some((Self { ports: bound, are_adopted: true }, sockets))
    }

    /// Whether they are those of another process's relay.
    pub(super) fn are_adopted(&self) -> bool {
        self.are_adopted
    }

    pub(super) fn families(&self) -> Vec<Families> {
        self.ports.iter().map(|port| Families { v4: port.v4.is_some(), v6: port.v6.is_some() }).collect()
    }

    pub(super) fn places(&self) -> Places {
        self.ports.iter().map(|port| [port.v4, port.v6].map(|bound| bound.map(|bound| bound.socket))).collect()
    }

    /// The addresses of all sockets, and those by which others reach them.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let bound = self.ports.iter().flat_map(BoundPort::each);
        bound.flat_map(|bound| [Some(bound.local), bound.public].into_iter().flatten())
    }

    /// The addresses of a port for a peer. A peer at a private address may be in the server's own network, which the public address does not always lead
    /// back into, or behind a NAT of the server's own machine, as in a container: it is told both.
    pub(super) fn faces(&self, port: u16, peer: IpAddr, here: Option<IpAddr>, public: Option<IpAddr>) -> Faces {
        let peer = peer.to_canonical();
        let Some(bound) = self.ports.get(usize::from(port)).and_then(|port| port.of_family(peer)) else {
            return Faces::new();
        };
        let is_usable = |ip: &IpAddr| ip.is_ipv4() == peer.is_ipv4() && !ip.is_unspecified();
        let own = Some(bound.local.ip()).filter(is_usable).or(here.filter(is_usable));
        let near = own.map(|ip| SocketAddr::new(ip, bound.local.port()));
        let of_server = || public.filter(is_usable).map(|ip| SocketAddr::new(ip, bound.local.port()));
        let far = bound.public.filter(|public| is_usable(&public.ip())).or_else(of_server);
        let is_near = is_private(peer) || peer.is_loopback();
        let faces = match far {
            None => [near, None],
            Some(_) if is_near => [near, far],
            Some(_) => [far, None],
        };
        let mut faces: Faces = faces.into_iter().flatten().collect();
        faces.dedup();
        faces
    }
}

/// The ports by their numbers: `19400-19431`, or `40001, 40007` where the system chose them.
impl fmt::Display for BoundPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ports: Vec<u16> = self.ports.iter().flat_map(BoundPort::each).map(|bound| bound.local.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        for (place, run) in ports.chunk_by(|one, next| one + 1 == *next).enumerate() {
            let separator = if place == 0 { "" } else { ", " };
            match run {
                [first, .., last] => write!(f, "{separator}{first}-{last}")?,
                _ => run.iter().try_for_each(|port| write!(f, "{separator}{port}"))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(v4: Option<&str>, public: Option<&str>) -> BoundPorts {
        let bound = |local: &str, public: Option<&str>| Bound {
            socket: 0,
            local: local.parse().unwrap(),
            public: public.map(|public| public.parse().unwrap()),
        };
        let ports = vec![BoundPort { v4: v4.map(|local| bound(local, public)), v6: Some(bound("[::]:19400", None)) }];
        BoundPorts { ports, are_adopted: false }
    }

    fn faces(ports: &BoundPorts, peer: &str, here: &str, public: Option<&str>) -> Vec<String> {
        let public = public.map(|public| public.parse().unwrap());
        let faces = ports.faces(0, peer.parse().unwrap(), Some(here.parse().unwrap()), public);
        faces.iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn a_peer_is_told_the_address_by_which_it_reaches_the_server() {
        let any = ports(Some("0.0.0.0:19400"), None);
        assert_eq!(faces(&any, "203.0.113.1", "198.51.100.1", None), ["198.51.100.1:19400"]);
        assert_eq!(faces(&any, "2001:db8::1", "2001:db8::9", None), ["[2001:db8::9]:19400"]);
        assert_eq!(faces(&any, "::ffff:203.0.113.1", "198.51.100.1", None), ["198.51.100.1:19400"]);
        // The address of the other family is of no use.
        assert_eq!(faces(&any, "2001:db8::1", "198.51.100.1", None), [""; 0]);
        assert_eq!(faces(&ports(None, None), "203.0.113.1", "198.51.100.1", None), [""; 0]);
        let one = ports(Some("192.0.2.5:19400"), None);
        assert_eq!(faces(&one, "203.0.113.1", "198.51.100.1", None), ["192.0.2.5:19400"]);
        assert!(any.faces(9, [203, 0, 113, 1].into(), None, None).is_empty(), "there is no such port");
    }

    #[test]
    fn behind_a_nat_others_are_told_the_public_address_and_neighbours_both() {
        let any = ports(Some("0.0.0.0:19400"), None);
        let public = Some("198.51.100.7");
        assert_eq!(faces(&any, "203.0.113.1", "10.0.0.1", public), ["198.51.100.7:19400"]);
        assert_eq!(faces(&any, "10.0.0.9", "10.0.0.1", public), ["10.0.0.1:19400", "198.51.100.7:19400"]);
        assert_eq!(faces(&any, "127.0.0.1", "127.0.0.1", public), ["127.0.0.1:19400", "198.51.100.7:19400"]);
        assert_eq!(faces(&any, "10.0.0.9", "198.51.100.7", public), ["198.51.100.7:19400"]);
        // The file says more of the port than the server's own public address does.
        let mapped = ports(Some("0.0.0.0:19400"), Some("198.51.100.8:30000"));
        assert_eq!(faces(&mapped, "203.0.113.1", "10.0.0.1", public), ["198.51.100.8:30000"]);
        assert_eq!(faces(&mapped, "2001:db8::1", "2001:db8::9", public), ["[2001:db8::9]:19400"]);
    }

    #[test]
    fn ports_are_shown_by_their_numbers() {
        let bound = |port| Bound { socket: 0, local: ([127, 0, 0, 1], port).into(), public: None };
        let shown = |ports: &[u16]| {
            let ports = ports.iter().map(|port| BoundPort { v4: Some(bound(*port)), v6: None });
            BoundPorts { ports: ports.collect(), are_adopted: false }.to_string()
        };
        assert_eq!(shown(&[19_402, 19_400, 19_401]), "19400-19402");
        assert_eq!(shown(&[9, 7, 6, 3]), "3, 6-7, 9");
        assert_eq!(shown(&[5]), "5");
    }

    #[test]
    fn a_port_is_bound_in_each_family_that_the_machine_has() {
        let listen = |local: &str| Listen { local: local.parse().unwrap(), public: None, is_optional: false };
        let each = [vec![listen("127.0.0.1:0"), listen("[::1]:0")], vec![listen("127.0.0.1:0")]];
        let (ports, sockets) = BoundPorts::bind(&each).unwrap();
        assert_eq!(sockets.len(), 3);
        assert_eq!(ports.families(), [Families { v4: true, v6: true }, Families { v4: true, v6: false }]);
        assert_eq!(ports.places(), [[Some(0), Some(1)], [Some(2), None]]);
        let bound: Vec<_> = ports.addresses().collect();
        assert_eq!(bound, sockets.iter().map(UdpSocket::local_address).collect::<Vec<_>>());
        // Another process goes on with them, as long as it is configured in the same way.
        let offered = || {
            let shared = super::super::share(&ports.places(), &sockets).unwrap();
            let adopt = |(_, descriptor)| UdpSocket::adopt(descriptor).unwrap();
            shared.into_iter().map(|port| port.into_iter().map(adopt).collect()).collect::<OfferedPorts>()
        };
        let (adopted, _) = BoundPorts::adopt(&each, offered()).unwrap();
        assert_eq!((adopted.families(), adopted.places()), (ports.families(), ports.places()));
        assert_eq!(adopted.addresses().collect::<Vec<_>>(), bound);
        assert!(adopted.are_adopted() && !ports.are_adopted());
        let other = listen("127.0.0.2:0");
        for others in [
            vec![each[0].clone()],
            vec![vec![listen("127.0.0.1:0")], each[1].clone()],
            vec![each[0].clone(), vec![other]],
        ] {
            assert!(BoundPorts::adopt(&others, offered()).is_none(), "{others:?}");
        }
        let missing = vec![each[0].clone(), vec![listen("127.0.0.1:0"), listen("[::1]:0")]];
        assert!(BoundPorts::adopt(&missing, offered()).is_none());
        let taken = Listen { local: bound[0], public: None, is_optional: false };
        let error = BoundPorts::bind(&[vec![taken]]).unwrap_err().to_string();
        assert!(error.contains("another program has this port"), "{error}");
    }
}
