//! The sockets that the service manager has bound and passed to the process (socket activation).

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use listenfd::ListenFd;
use socket2::SockRef;

/// The most sockets that may be passed. More are a mistake in the environment.
const MAX_PASSED: usize = 1024;
/// The number of the first descriptor that is passed.
const FIRST: usize = 3;

/// The sockets that the service manager has passed. They stay open as long as a clone of this exists.
#[derive(Clone, Debug, Default)]
pub struct PassedSockets(Arc<[Passed]>);

#[derive(Debug)]
struct Passed {
    /// The number of the descriptor, and its name if it has one.
    label: String,
    address: SocketAddr,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Tcp(TcpListener),
}

impl PassedSockets {
    /// Takes the sockets that the environment names by `LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES`. The environment is changed, so that
    /// nobody takes them twice: this must be called before the process has another thread.
    ///
    /// # Errors
    /// If a descriptor is neither a UDP socket nor a TCP socket that listens, or if `LISTEN_FDS` makes no sense.
    pub fn from_environment() -> anyhow::Result<Self> {
        if let Some(count) = std::env::var_os("LISTEN_FDS") {
            let count = count.to_string_lossy();
            let is_sane = count.parse().is_ok_and(|count: usize| count <= MAX_PASSED);
            ensure!(is_sane, "LISTEN_FDS={count} in the environment is not a number of sockets from 0 to {MAX_PASSED}");
        }
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut descriptors = ListenFd::from_env();
        let passed = (0..descriptors.len()).map(|index| {
            let label = label(index, names.next());
            let taken = take(&mut descriptors, index);
            taken
                .with_context(|| format!("the service manager passed {label}, which cannot be used"))
                .map(|(address, socket)| Passed { label, address, socket })
        });
        Ok(Self(passed.collect::<anyhow::Result<_>>()?))
    }

    /// For how many workers the UDP sockets are: the most that have one address; `None` if there are none.
    pub fn workers(&self) -> Option<usize> {
        let count = |address| self.0.iter().filter(|passed| passed.is_udp_at(address)).count();
        self.0.iter().map(|passed| count(passed.address)).max().filter(|most| *most > 0)
    }

    /// The UDP sockets that are bound to this address.
    ///
    /// # Errors
    /// If the process has too many files open.
    pub fn udp_at(&self, address: SocketAddr) -> std::io::Result<Vec<UdpSocket>> {
        let sockets =
            self.0.iter().filter(|passed| passed.address == address).filter_map(|passed| match &passed.socket {
                Socket::Udp(socket) => Some(socket.try_clone()),
                Socket::Tcp(_) => None,
            });
        sockets.collect()
    }

    /// The TCP socket that listens at this address.
    ///
    /// # Errors
    /// If the process has too many files open.
    pub fn tcp_at(&self, address: SocketAddr) -> std::io::Result<Option<TcpListener>> {
        let mut listeners =
            self.0.iter().filter(|passed| passed.address == address).filter_map(|passed| match &passed.socket {
                Socket::Tcp(listener) => Some(listener.try_clone()),
                Socket::Udp(_) => None,
            });
        listeners.next().transpose()
    }

    /// Checks that each socket is one of those that the server listens with: by UDP for clients, by TCP for the administration.
    ///
    /// # Errors
    /// If there is another one, because what comes to it would be lost. The message says what to do.
    pub fn check_use(&self, clients: &[SocketAddr], administration: &[SocketAddr]) -> anyhow::Result<()> {
        let listed = |addresses: &[SocketAddr]| match addresses {
            [] => "nowhere".to_owned(),
            some => some.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", "),
        };
        for Passed { label, address, socket } in self.0.iter() {
            match socket {
                Socket::Udp(_) => ensure!(
                    clients.contains(address),
                    "the service manager passed {label}, a UDP socket at {address}, but the server listens by UDP at {}: change ListenDatagram= \
                     of the socket unit, HostPort in Adaptor.xml, or --listen",
                    listed(clients)
                ),
                Socket::Tcp(_) => ensure!(
                    administration.contains(address),
                    "the service manager passed {label}, a TCP socket at {address}, but the administration listens at {}: change ListenStream= \
                     of the socket unit, AdminServer/HostPort in Server.xml, or --admin",
                    listed(administration)
                ),
            }
        }
        Ok(())
    }
}

impl Passed {
    fn is_udp_at(&self, address: SocketAddr) -> bool {
        self.address == address && matches!(self.socket, Socket::Udp(_))
    }
}

/// How messages call the descriptor at that place.
fn label(index: usize, name: Option<&str>) -> String {
    let number = index + FIRST;
    match name.filter(|name| !name.is_empty()) {
        Some(name) => format!("descriptor {number} ({})", name.escape_debug()),
        None => format!("descriptor {number}"),
    }
}

fn take(descriptors: &mut ListenFd, index: usize) -> anyhow::Result<(SocketAddr, Socket)> {
    if let Ok(Some(socket)) = descriptors.take_udp_socket(index) {
        return Ok((socket.local_addr()?, Socket::Udp(socket)));
    }
    let Ok(Some(listener)) = descriptors.take_tcp_listener(index) else {
        anyhow::bail!(
            "it is neither a UDP socket nor a TCP socket: use ListenDatagram= for clients and ListenStream= for the administration"
        );
    };
    Ok((listener.local_addr()?, Socket::Tcp(checked(listener)?)))
}

/// A TCP socket, if it is as the administration needs it.
fn checked(listener: TcpListener) -> anyhow::Result<TcpListener> {
    let address = listener.local_addr()?;
    let socket = SockRef::from(&listener);
    ensure!(socket.is_listener()?, "it does not listen: the socket unit must have Accept=no");
    // The lists of addresses in Server.xml and Users.xml would not hold for IPv4 clients, which would come from addresses that look like IPv6.
    let takes_both = address.is_ipv6() && address.ip().is_unspecified() && !socket.only_v6()?;
    ensure!(!takes_both, "it takes IPv4 as well: set BindIPv6Only=ipv6-only, and pass another socket for 0.0.0.0");
    socket.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp(label: &str) -> Passed {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        Passed { label: label.to_owned(), address: socket.local_addr().unwrap(), socket: Socket::Udp(socket) }
    }

    fn tcp(label: &str) -> Passed {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Passed { label: label.to_owned(), address: listener.local_addr().unwrap(), socket: Socket::Tcp(listener) }
    }

    #[test]
    fn sockets_are_found_by_address_and_kind() {
        let passed = PassedSockets([udp("descriptor 3"), tcp("descriptor 4")].into());
        let [udp, tcp] = [passed.0[0].address, passed.0[1].address];
        assert_eq!(passed.udp_at(udp).unwrap().len(), 1);
        assert!(passed.udp_at(tcp).unwrap().is_empty());
        assert_eq!(passed.tcp_at(tcp).unwrap().unwrap().local_addr().unwrap(), tcp);
        assert!(passed.tcp_at(udp).unwrap().is_none());
    }

    #[test]
    fn there_are_as_many_workers_as_sockets_with_one_address() {
        assert_eq!(PassedSockets::default().workers(), None);
        assert_eq!(PassedSockets([tcp("descriptor 3")].into()).workers(), None, "workers have nothing to do with it");
        let first = udp("descriptor 3");
        let again = Passed {
            label: "descriptor 4".to_owned(),
            address: first.address,
            socket: Socket::Udp(UdpSocket::bind("127.0.0.1:0").unwrap()),
        };
        assert_eq!(PassedSockets([first, again, udp("descriptor 5")].into()).workers(), Some(2));
    }

    #[test]
    fn a_socket_that_the_server_does_not_listen_with_is_named_with_what_to_change() {
        let passed = PassedSockets([udp("descriptor 3 (clients)"), tcp("descriptor 4")].into());
        let [udp, tcp] = [passed.0[0].address, passed.0[1].address];
        assert!(passed.check_use(&[udp], &[tcp]).is_ok());
        let elsewhere: SocketAddr = "192.0.2.1:1935".parse().unwrap();
        let error = passed.check_use(&[elsewhere], &[tcp]).unwrap_err().to_string();
        for part in ["descriptor 3 (clients)", &udp.to_string(), "192.0.2.1:1935", "ListenDatagram="] {
            assert!(error.contains(part), "{error}");
        }
        let error = passed.check_use(&[udp], &[]).unwrap_err().to_string();
        for part in ["descriptor 4", &tcp.to_string(), "nowhere", "ListenStream="] {
            assert!(error.contains(part), "{error}");
        }
        assert!(PassedSockets::default().check_use(&[], &[]).is_ok());
    }

    #[test]
    fn a_tcp_socket_must_listen_and_take_one_kind_of_address() {
        let both = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).unwrap();
        both.set_only_v6(false).unwrap();
        both.bind(&SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0)).into()).unwrap();
        let silent = checked(TcpListener::from(both.try_clone().unwrap())).unwrap_err().to_string();
        assert!(silent.contains("does not listen"), "{silent}");
        both.listen(1).unwrap();
        let error = checked(TcpListener::from(both)).unwrap_err().to_string();
        assert!(error.contains("BindIPv6Only=ipv6-only"), "{error}");
        assert!(checked(TcpListener::bind("127.0.0.1:0").unwrap()).is_ok());
    }

    #[test]
    fn descriptors_are_called_by_number_and_name() {
        assert_eq!(label(0, None), "descriptor 3");
        assert_eq!(label(1, Some("")), "descriptor 4");
        assert_eq!(label(2, Some("introd.socket")), "descriptor 5 (introd.socket)");
    }
}
