//! A peer: one endpoint with its sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use anyhow::Context as _;
use rtmfp::{Config, Endpoint, Event, InterfaceId, RevealedKeys, SessionId};

use introd_udp::{BufferSizes, LocalAddress, MAX_CATCH_UP, Ports, UdpSocket, sleep_until};

/// Is given the keys of each session of a peer whose endpoint reveals them.
pub type KeysTap = Box<dyn FnMut(&Endpoint, &Ports, SessionId, &RevealedKeys) + Send>;

/// An endpoint that does its own I/O, on the task that polls it.
pub struct Peer {
    /// The endpoint: what is asked of it goes out with the next poll of [`Peer::next`].
    pub endpoint: Endpoint,
    /// Its sockets.
    pub ports: Ports,
    keys_tap: Option<KeysTap>,
}

impl Peer {
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

    /// A peer that uses these sockets.
    ///
    /// # Errors
    /// If there are none, or the runtime cannot watch them.
    pub fn with_sockets(config: Config, sockets: Vec<UdpSocket>) -> anyhow::Result<Self> {
        anyhow::ensure!(!sockets.is_empty(), "a peer needs a socket");
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context("the operating system has no randomness to give")?;
        Ok(Self { endpoint: Endpoint::new(Instant::now(), config, seed), ports: Ports::new(sockets)?, keys_tap: None })
    }

    /// Gives the keys of each session to `tap`, if the endpoint is to reveal them ([`Config::keying`]).
    pub fn set_keys_tap(&mut self, tap: KeysTap) {
        self.keys_tap = Some(tap);
    }

    /// Drives the endpoint until it has an event. Public-key work is done at once, here. Dropping the future loses nothing.
    ///
    /// # Errors
    /// If a socket is of no use any more.
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
                // What waits is heard before anybody is given up for silence.
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
                    // After a standstill, the next round reads the sockets first.
                    if self.endpoint.standstill(now).is_none() {
                        self.endpoint.handle_timeout(now);
                    }
                }
            }
        }
    }

    /// Sends what the endpoint has to send, without waiting for anything.
    pub async fn flush(&mut self) {
        self.ports.transmit(&mut self.endpoint).await;
    }

    /// The addresses with the interfaces by which they can be reached; those of a family without a socket are left out.
    pub fn candidates(&self, addresses: &[SocketAddr]) -> Vec<(InterfaceId, SocketAddr)> {
        addresses.iter().filter_map(|to| Some((self.ports.route(*to)?, *to))).collect()
    }

    /// This machine's own addresses as a packet to `far` would carry them, with the ports of the peer's sockets: what a client
    /// reports with setPeerInfo.
    pub fn reported_addresses(&self, far: SocketAddr) -> Vec<SocketAddr> {
        let mut reported = Vec::new();
        for bound in self.ports.local_addresses() {
            let target = match (bound.is_ipv4(), far.is_ipv4()) {
                (true, true) | (false, false) => far,
                // Any address beyond this machine tells which interface leads out; nothing is sent to it.
                (true, false) => SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 1)),
                (false, true) => SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 1)),
            };
            if let Some(ip) = LocalAddress::towards(target) {
                reported.push(SocketAddr::new(ip, bound.port()));
            }
        }
        reported
    }
}
