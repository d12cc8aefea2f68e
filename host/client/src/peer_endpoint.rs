//! An endpoint with its sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use introd_udp::{BufferSizes, LocalAddress, MAX_CATCH_UP, Ports, UdpSocket, sleep_until};
use rtmfp::{Config, Endpoint, Event, InterfaceId, RevealedKeys, SessionId};

/// How long [`PeerEndpoint::close`] waits for the far ends, which may be gone.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Is called with the keys of each session, if the endpoint reveals them ([`Config::keying`]).
pub type KeysTap = Box<dyn FnMut(&Endpoint, &Ports, SessionId, &RevealedKeys) + Send>;

/// An endpoint that does its own I/O and public-key work, on the task that polls it.
pub struct PeerEndpoint {
    /// The endpoint. What it has to send is sent with the next poll of [`PeerEndpoint::next`].
    pub endpoint: Endpoint,
    /// The endpoint's sockets.
    pub ports: Ports,
    keys_tap: Option<KeysTap>,
}

impl PeerEndpoint {
    /// Binds a socket of each address family that this machine has, on ports that the system chooses, and makes an endpoint.
    ///
    /// # Errors
    /// If neither family can be bound.
    pub fn new(config: Config) -> anyhow::Result<Self> {
        let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        let bound: Vec<io::Result<UdpSocket>> =
            any.iter().map(|ip| UdpSocket::bind(SocketAddr::new(*ip, 0), BufferSizes::default())).collect();
        Self::with_sockets(config, bound.into_iter().filter_map(Result::ok).collect())
            .context("no UDP socket can be bound, neither IPv4 nor IPv6")
    }

    /// Makes an endpoint that uses these sockets.
    ///
    /// # Errors
    /// If there are none, or the runtime cannot watch them.
    pub fn with_sockets(config: Config, sockets: Vec<UdpSocket>) -> anyhow::Result<Self> {
        anyhow::ensure!(!sockets.is_empty(), "an endpoint needs a socket");
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context("the operating system has no randomness to give")?;
        Ok(Self { endpoint: Endpoint::new(Instant::now(), config, seed), ports: Ports::new(sockets)?, keys_tap: None })
    }

    /// Calls `tap` with the keys of each session from now on.
    pub fn set_keys_tap(&mut self, tap: KeysTap) {
        self.keys_tap = Some(tap);
    }

    /// Drives the endpoint until it has an event. Dropping the future loses nothing.
    ///
    /// # Errors
    /// If a socket can no longer be used.
    pub async fn next(&mut self) -> io::Result<Event> {
        let mut caught_up = 0;
        loop {
            if let Some(event) = self.endpoint.poll_event() {
                match event {
                    Event::Keys { session, keys } => {
                        if let Some(tap) = &mut self.keys_tap {
                            tap(&self.endpoint, &self.ports, session, &keys);
                        }
                    }
                    Event::Keying(job) => self.endpoint.keying_done(Instant::now(), job.run()),
                    event => return Ok(event),
                }
                continue;
            }
            self.ports.transmit(&mut self.endpoint).await;
            if self.endpoint.standstill(Instant::now()).is_some() {
                // The datagrams that wait are read before the endpoint may give up a session for its silence.
                let (endpoint, ports) = (&mut self.endpoint, &mut self.ports);
                let is_more = ports.receive_now(|now, interface, from, datagram| {
                    endpoint.handle_datagram(now, interface, from, datagram);
                })?;
                caught_up += 1;
                if !is_more || caught_up >= MAX_CATCH_UP {
                    caught_up = 0;
                    self.endpoint.handle_timeout(Instant::now());
                }
                continue;
            }
            let deadline = self.endpoint.poll_timeout();
            let (endpoint, ports) = (&mut self.endpoint, &mut self.ports);
            let received = ports.receive(|now, interface, from, datagram| {
                endpoint.handle_datagram(now, interface, from, datagram);
            });
            tokio::select! {
                result = received => result?,
                () = sleep_until(deadline) => {
                    let now = Instant::now();
                    // After a standstill, the next turn of the loop reads the sockets first.
                    if self.endpoint.standstill(now).is_none() {
                        self.endpoint.handle_timeout(now);
                    }
                }
            }
        }
    }

    /// Closes all sessions in an orderly way. Waits up to a second for the far ends to confirm.
    pub(super) async fn close(mut self) {
        // Sessions that the far end has closed stay for a while, to answer if it asks again (RFC 7016 §3.5.5).
        let lingering = self.endpoint.session_ids().filter(|id| self.endpoint.session(*id).is_none()).count();
        self.endpoint.close_all(Instant::now());
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, async {
            while self.endpoint.session_count() > lingering {
                // The endpoint has no event for the end of a close.
                const INTERVAL: Duration = Duration::from_millis(5);
                if let Ok(Err(_)) = tokio::time::timeout(INTERVAL, self.next()).await {
                    break;
                }
            }
        })
        .await;
        // A far end that closed first waits for this.
        self.flush().await;
    }

    /// Sends what the endpoint has to send.
    async fn flush(&mut self) {
        self.ports.transmit(&mut self.endpoint).await;
    }

    /// The addresses with the interfaces from which they can be reached. Those of a family without a socket are left out.
    pub fn candidates(&self, addresses: &[SocketAddr]) -> Vec<(InterfaceId, SocketAddr)> {
        addresses.iter().filter_map(|to| Some((self.ports.route(*to)?, *to))).collect()
    }

    /// This machine's own addresses, with the ports of the endpoint's sockets: what a client of the server at `far` reports with
    /// `setPeerInfo`.
    pub(super) fn reported_addresses(&self, far: SocketAddr) -> Vec<SocketAddr> {
        let mut reported = Vec::new();
        for bound in self.ports.local_addresses() {
            let target = match (bound.is_ipv4(), far.is_ipv4()) {
                (true, true) | (false, false) => far,
                // The route to any address beyond this machine shows the own address. Nothing is sent to it.
                (true, false) => SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 1)),
                (false, true) => SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 1)),
            };
            // A socket that is bound to one address sends from that one, wherever the routes lead.
            let ip = if bound.ip().is_unspecified() { LocalAddress::towards(target) } else { Some(bound.ip()) };
            if let Some(ip) = ip.filter(|ip| may_be_reported(*ip, far.ip())) {
                reported.push(SocketAddr::new(ip, bound.port()));
            }
        }
        reported
    }
}

/// Whether a client of the server at `far` names this address of its own. Loopback and link-local addresses are of no use to others (RFC
/// 7425 §5.3.3); but the peers of a client whose server is on this machine are, as a rule, on this machine too.
fn may_be_reported(ip: IpAddr, far: IpAddr) -> bool {
    let is_link_local = match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    let far_is_loopback = far.to_canonical().is_loopback();
    !is_link_local && (far_is_loopback || !ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_link_local_addresses_are_not_reported() {
        for (ip, far, is_reported) in [
            ("192.0.2.1", "198.51.100.1", true),
            ("10.0.0.1", "198.51.100.1", true),
            ("2001:db8::1", "198.51.100.1", true),
            ("fd00::1", "2001:db8::9", true),
            ("169.254.1.2", "198.51.100.1", false),
            ("169.254.1.2", "169.254.1.1", false),
            ("fe80::1", "2001:db8::9", false),
            ("febf::1", "2001:db8::9", false),
            ("fe80::1", "::1", false),
            ("::ffff:169.254.1.2", "198.51.100.1", false),
            ("127.0.0.1", "198.51.100.1", false),
            ("::1", "2001:db8::9", false),
            ("::ffff:127.0.0.1", "198.51.100.1", false),
            // Tests and trials on one machine.
            ("127.0.0.1", "127.0.0.1", true),
            ("::1", "::1", true),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
        ] {
            assert_eq!(may_be_reported(ip.parse().unwrap(), far.parse().unwrap()), is_reported, "{ip} {far}");
        }
    }
}
