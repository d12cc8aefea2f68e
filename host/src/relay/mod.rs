//! The relay: the server passes on what two peers send each other that cannot meet directly.
//!
//! The lookups of the workers make pairs ([`Relay::allocate`]), by which each peer has a port of the server; a thread of the relay's own passes
//! datagrams on between the ports. Which datagrams, and to where, is decided by `introd_relay`. The table of pairs is the only thing that workers
//! and the thread share: it is locked for the decisions about one batch, never while a socket is used.

mod figures;
mod handover;
mod order;
mod ports;
mod thread;

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::Context as _;
use introd_config::{Config, PublicHost, Relay as Settings};
use introd_liveness::{AtStandstill, Pulse};
use introd_relay::{Attempt, Client, Limits, OwnAddresses, PairView, Pairs, Refusal, RelayPorts, Terms};
use introd_udp::{LocalAddress, UdpSocket, interface_addresses};
use parking_lot::Mutex;
use rtmfp::PeerId;
use smallvec::SmallVec;
use tokio::sync::watch;

use crate::network::Listener;
pub use figures::RelayFigures;
use handover::share;
pub use handover::{OfferedPorts, PairRecords};
use order::Order;
use ports::BoundPorts;
use thread::RelayThread;

/// How many addresses of a port a peer can be told: the public one and the one of the local network.
pub const MAX_FACES: usize = 2;

/// The addresses of a port as one peer reaches it, the best first.
pub type Faces = SmallVec<[SocketAddr; MAX_FACES]>;

/// How a relay begins.
#[derive(Default)]
pub struct Beginning {
    /// It waits until [`Relay::serve`], in the place of another process's relay, which has these ports: none, if there is no such relay.
    pub offered: Option<OfferedPorts>,
    /// Whether another process may take its place.
    pub is_replaceable: bool,
}

const OTHER_PORTS: &str = "the relay of the server that runs has other ports than RTMFP/Relay/Ports in Adaptor.xml says: restart the server without \
                           --takeover to change them";

/// The relay of a server. Dropping it ends its thread.
pub struct Relay {
    ports: BoundPorts,
    /// The server's own sockets, to which nothing is relayed.
    listeners: Box<[Listener]>,
    pairs: Arc<Mutex<Pairs<LocalAddress>>>,
    is_stopped: AtomicBool,
    orders: watch::Sender<Order>,
    /// The sockets once more, for a process that takes over.
    shared_sockets: Vec<Vec<(SocketAddr, OwnedFd)>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Relay {
    /// Opens the ports and starts the thread, if the configuration has a relay.
    ///
    /// # Errors
    /// If a port cannot be bound, or the thread cannot be started. The message says what to do.
    pub fn start(config: &Config, listeners: &[Listener], beginning: Beginning) -> anyhow::Result<Option<Self>> {
        let Some(settings) = config.relay() else { return Ok(None) };
        let (waits, offered) = (beginning.offered.is_some(), beginning.offered.unwrap_or_default());
        let (ports, sockets) = if offered.is_empty() {
            let bound = BoundPorts::bind(&settings.ports);
            bound.context("the ports of the relay (RTMFP/Relay/Ports in Adaptor.xml) cannot be opened")?
        } else {
            BoundPorts::adopt(&settings.ports, offered).context(OTHER_PORTS)?
        };
        let shared_sockets = if beginning.is_replaceable { share(&ports.places(), &sockets) } else { Ok(Vec::new()) };
        let shared_sockets = shared_sockets.context(
            "the sockets of the relay cannot be kept for another process: raise the limit of open files (`ulimit -n`) if it is that",
        )?;
        let public_ips = config.server.public_ip.as_ref().map_or(&[][..], PublicHost::addresses);
        let own = own_addresses(listeners, &ports, public_ips);
        let now = Instant::now();
        let pairs = Arc::new(Mutex::new(Pairs::new(now, ports.families(), own, limits(settings))));
        let (orders, ordered) = watch::channel(if waits { Order::Wait } else { Order::Serve });
        let work = Self::work(sockets, &ports, Arc::clone(&pairs), ordered);
        // Like a worker, it cannot be started again: its sockets are gone with it.
        let thread = introd_liveness::spawn_once("relay-0", None, AtStandstill::EndProcess, work);
        let thread = thread.context("the relay's thread cannot be started")?;
        tracing::info!(
            ports = %ports,
            pairs = settings.max_pairs,
            bytes_per_second = settings.bytes_per_second,
            "peers that cannot meet are relayed"
        );
        let (thread, is_stopped) = (Mutex::new(Some(thread)), AtomicBool::new(false));
        Ok(Some(Self { ports, listeners: listeners.into(), pairs, is_stopped, orders, shared_sockets, thread }))
    }

    fn work(
        sockets: Vec<UdpSocket>,
        ports: &BoundPorts,
        pairs: Arc<Mutex<Pairs<LocalAddress>>>,
        orders: watch::Receiver<Order>,
    ) -> impl FnOnce(&Pulse) -> anyhow::Result<()> + Send + 'static {
        let places = ports.places();
        move |pulse: &Pulse| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let thread = RelayThread::new(sockets, places, pairs)?;
                thread.run(orders, pulse).await.context("a socket of the relay has failed")
            })
        }
    }

    /// The ports of the pair for an attempt; see [`Pairs::allocate`]. The pair is there when this returns.
    ///
    /// # Errors
    /// If no pair is made. The refusal is counted.
    pub fn allocate(&self, now: Instant, attempt: &Attempt<'_>, terms: Terms) -> Result<RelayPorts, Refusal> {
        let mut pairs = self.pairs.lock();
        if self.is_stopped.load(Ordering::Acquire) {
            pairs.counts_mut().refuse(Refusal::Stopped);
            return Err(Refusal::Stopped);
        }
        pairs.allocate(now, attempt, terms)
    }

    /// The addresses of a port for the peer whose packets come from `peer` to `here`, an address of this machine. `public` is where others reach
    /// the server's own port, if that is known.
    pub fn faces(&self, port: u16, peer: IpAddr, here: Option<IpAddr>, public: Option<IpAddr>) -> Faces {
        self.ports.faces(port, peer, here, public)
    }

    /// Whether a port number is that of one of its ports, as others reach it, in that family.
    pub fn has_port(&self, port: u16, is_ipv4: bool) -> bool {
        self.ports.addresses().any(|own| own.is_ipv4() == is_ipv4 && own.port() == port)
    }

    /// Whether others reach one of its ports by that address, as the configuration says.
    pub fn has_address(&self, address: SocketAddr) -> bool {
        self.ports.addresses().any(|own| own == address)
    }

    /// Whether its limits leave room for any pair at all.
    pub fn is_for_pairs(&self) -> bool {
        let pairs = self.pairs.lock();
        let Limits { max_pairs, max_pairs_per_client, max_pairs_per_network, .. } = *pairs.limits();
        max_pairs.min(max_pairs_per_client).min(max_pairs_per_network) > 0
    }

    /// What it did and has.
    pub fn figures(&self) -> RelayFigures {
        let pairs = self.pairs.lock();
        RelayFigures { pairs: pairs.len(), open: pairs.open(), counts: pairs.counts().clone() }
    }

    /// The pairs, `most` of them at most, each with its place, from this place on. See [`Pairs::views`].
    pub fn views(&self, now: Instant, from: usize, most: usize) -> Vec<(usize, PairView)> {
        self.pairs.lock().views(now, from).take(most).collect()
    }

    /// Whether two clients have a session by a pair, whichever of them asked for the other.
    pub fn is_open_between(&self, one: &Client, other: &Client) -> bool {
        self.pairs.lock().is_open_between(one, other)
    }

    /// Ends all pairs of a peer that is not wanted any more.
    pub fn end_of(&self, peer: PeerId) {
        self.pairs.lock().end_of(&Client::Peer(peer));
    }

    /// Puts other limits in force.
    pub fn reconfigure(&self, settings: &Settings) {
        self.pairs.lock().set_limits(limits(settings));
    }

    /// Looks at the machine's addresses again, because they or those of `PublicIP` have changed: nothing is relayed to them.
    pub fn look_at_addresses(&self, public_ips: &[IpAddr]) {
        let own = own_addresses(&self.listeners, &self.ports, public_ips);
        self.pairs.lock().set_own_addresses(own);
    }

    /// Ends the thread and closes the ports. No pair is made afterwards.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
        let _ = self.orders.send(Order::End);
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop();
    }
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        max_pairs: settings.max_pairs,
        max_pairs_per_client: settings.max_pairs_per_client,
        max_pairs_per_network: settings.max_pairs_per_address,
        bytes_per_second: settings.bytes_per_second,
        idle: settings.idle_timeout,
    }
}

/// Every address of this machine and those by which others reach it, with all ports of the server.
fn own_addresses(listeners: &[Listener], ports: &BoundPorts, public_ips: &[IpAddr]) -> OwnAddresses {
    let of_machine = interface_addresses().unwrap_or_else(|error| {
        tracing::warn!(%error, "the addresses of this machine are not known: the relay takes those that it listens on for all");
        Vec::new()
    });
    let of_machine = of_machine.into_iter().map(|interface| interface.address.ip());
    let sockets: Vec<SocketAddr> = listeners
        .iter()
        .flat_map(|listener| [Some(listener.local), listener.public])
        .flatten()
        .chain(ports.addresses())
        .collect();
    let ips = of_machine.chain(public_ips.iter().copied()).chain(sockets.iter().map(SocketAddr::ip));
    OwnAddresses::new(ips, sockets.iter().map(SocketAddr::port))
}

#[cfg(test)]
mod tests;
