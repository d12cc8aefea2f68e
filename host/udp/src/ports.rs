//! The sockets of one endpoint: batches of datagrams in, batches of datagrams out.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rtmfp::{Endpoint, InterfaceId, Transmit};

use crate::async_socket::AsyncUdpSocket;
use crate::interface::{Interface, Interfaces};
use crate::local::LocalAddress;
use crate::recv_batch::{MAX_DATAGRAM, RecvBatch};
use crate::send_queue::SendQueue;
use crate::socket::UdpSocket;

/// How many datagrams one call receives. More would gain little, and delay the replies to the first ones.
const RECEIVE_BATCH: usize = 64;
/// How many datagrams one call sends.
const SEND_BATCH: usize = 128;
const SEND_BYTES: usize = SEND_BATCH * 1280;
/// How long a full socket is waited for. What is not sent by then is dropped: to the peers these are lost packets.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(20);

/// The most batches that are received after a standstill before timers run: a peer may send faster than they are read.
pub const MAX_CATCH_UP: usize = 4096;

/// Is called with each datagram that comes in or goes out: time, source, destination, bytes.
pub type Tap = Box<dyn FnMut(Instant, SocketAddr, SocketAddr, &[u8]) + Send>;

/// Decides whether a datagram is accepted: time, the socket's place, source, bytes.
pub type Filter = Box<dyn FnMut(Instant, usize, SocketAddr, &[u8]) -> bool + Send>;

/// The sockets of one endpoint.
///
/// ```
/// use std::time::Instant;
///
/// use introd_udp::{Ports, sleep_until};
/// use rtmfp::{Endpoint, Event};
///
/// /// Does the endpoint's I/O until it has an event.
/// async fn next_event(endpoint: &mut Endpoint, ports: &mut Ports) -> std::io::Result<Event> {
///     loop {
///         if let Some(event) = endpoint.poll_event() {
///             return Ok(event);
///         }
///         ports.transmit(endpoint).await;
///         let deadline = endpoint.poll_timeout();
///         tokio::select! {
///             received = ports.receive(|now, interface, from, datagram| {
///                 endpoint.handle_datagram(now, interface, from, datagram);
///             }) => received?,
///             () = sleep_until(deadline) => endpoint.handle_timeout(Instant::now()),
///         }
///     }
/// }
/// ```
pub struct Ports {
    sockets: Vec<AsyncUdpSocket>,
    outgoing: Vec<SendQueue>,
    /// The datagrams that go out, one after the other, as the endpoint writes them.
    outgoing_bytes: Vec<u8>,
    incoming: RecvBatch,
    /// For each socket, since when every call has received as many datagrams as it can.
    full_since: Vec<Option<Instant>>,
    interfaces: Interfaces,
    taps: Vec<Tap>,
    filter: Option<Filter>,
}

impl Ports {
    /// Registers the sockets with the current runtime.
    ///
    /// # Errors
    /// If the kernel refuses to watch another descriptor.
    pub fn new(sockets: Vec<UdpSocket>) -> io::Result<Self> {
        let sockets: Vec<_> = sockets.into_iter().map(AsyncUdpSocket::register).collect::<io::Result<_>>()?;
        Ok(Self {
            outgoing: sockets.iter().map(|_| SendQueue::new(SEND_BATCH)).collect(),
            outgoing_bytes: Vec::with_capacity(SEND_BYTES + MAX_DATAGRAM),
            incoming: RecvBatch::new(RECEIVE_BATCH),
            full_since: vec![None; sockets.len()],
            interfaces: Interfaces::new(u16::try_from(sockets.len()).unwrap_or(u16::MAX)),
            taps: Vec::new(),
            filter: None,
            sockets,
        })
    }

    /// Calls `tap`, too, with each datagram that comes in or goes out.
    pub fn add_tap(&mut self, tap: Tap) {
        self.taps.push(tap);
    }

    /// From now on only the datagrams that `filter` accepts are handed over. It takes the place of an earlier filter.
    pub fn set_filter(&mut self, filter: Filter) {
        self.filter = Some(filter);
    }

    /// How many datagrams were not sent because an interface of this machine carries none as long.
    pub fn too_long(&self) -> u64 {
        self.outgoing.iter().map(SendQueue::too_long).sum()
    }

    /// For how long datagrams have waited at a socket without a break: every call since has received as many as it can. Zero if the sockets
    /// were read empty.
    pub fn behind(&self, now: Instant) -> Duration {
        let since = self.full_since.iter().flatten().min();
        since.map_or(Duration::ZERO, |since| now.saturating_duration_since(*since))
    }

    /// The addresses that the sockets are bound to.
    pub fn local_addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.sockets.iter().map(AsyncUdpSocket::local_address)
    }

    /// The address of an interface: its local address with the socket's port.
    pub fn address_of(&self, interface: InterfaceId) -> Option<SocketAddr> {
        let interface = self.interfaces.lookup(interface)?;
        let bound = self.sockets.get(usize::from(interface.socket))?.local_address();
        Some(interface.local.ip().map_or(bound, |ip| SocketAddr::new(ip, bound.port())))
    }

    /// The id of the interface at which another worker's socket for the same address received a datagram.
    pub fn intern(&mut self, interface: Interface) -> InterfaceId {
        self.interfaces.intern(interface.socket, interface.local)
    }

    /// The interface whose id is `interface`.
    pub fn lookup(&self, interface: InterfaceId) -> Option<Interface> {
        self.interfaces.lookup(interface)
    }

    /// The default interface from which `to` can be reached: of several sockets of the address family, the first that is bound to the
    /// address from which this machine reaches `to`, or to all addresses; if there is none, the first.
    pub fn route(&self, to: SocketAddr) -> Option<InterfaceId> {
        let bound = self.sockets.iter().map(|socket| socket.local_address()).enumerate();
        let mut family = bound.filter(|(_, local)| local.is_ipv4() == to.is_ipv4());
        let first = family.next()?;
        let socket = match family.next() {
            None => first.0,
            Some(second) => {
                let near = LocalAddress::towards(to);
                let fits = |local: &SocketAddr| local.ip().is_unspecified() || Some(local.ip()) == near;
                let mut all = [first, second].into_iter().chain(family);
                all.find(|(_, local)| fits(local)).map_or(first.0, |(place, _)| place)
            }
        };
        u32::try_from(socket).ok().map(InterfaceId)
    }

    /// Waits for datagrams, receives one batch from each socket that has some, and hands each datagram to `handle` with the time of the
    /// batch, its interface and its source. Dropping the future loses nothing.
    ///
    /// # Errors
    /// If a socket can no longer be used.
    pub async fn receive(
        &mut self,
        mut handle: impl FnMut(Instant, InterfaceId, SocketAddr, &mut [u8]),
    ) -> io::Result<()> {
        poll_fn(|context| self.poll_receive(context, &mut handle)).await
    }

    fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        mut handle: impl FnMut(Instant, InterfaceId, SocketAddr, &mut [u8]),
    ) -> Poll<io::Result<()>> {
        let received = self.receive_each(&mut handle, |socket, batch| match socket.poll_receive(context, batch) {
            Poll::Pending => Ok(None),
            Poll::Ready(result) => result.map(Some),
        });
        match received {
            Ok(false) => Poll::Pending,
            Ok(true) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// [`Self::receive`] without waiting: false if no datagram waits. The kernel is asked, not the runtime, which does not know yet
    /// what has come during a standstill.
    ///
    /// # Errors
    /// If a socket can no longer be used.
    pub fn receive_now(
        &mut self,
        mut handle: impl FnMut(Instant, InterfaceId, SocketAddr, &mut [u8]),
    ) -> io::Result<bool> {
        self.receive_each(&mut handle, AsyncUdpSocket::receive_now)
    }

    /// Hands over the datagrams that `receive` gets from each socket; false if none of them has any.
    fn receive_each(
        &mut self,
        handle: &mut impl FnMut(Instant, InterfaceId, SocketAddr, &mut [u8]),
        mut receive: impl FnMut(&AsyncUdpSocket, &mut RecvBatch) -> io::Result<Option<usize>>,
    ) -> io::Result<bool> {
        let mut is_any = false;
        for (index, socket) in self.sockets.iter().enumerate() {
            let Some(count) = receive(socket, &mut self.incoming)? else {
                self.full_since[index] = None;
                continue;
            };
            is_any = true;
            if let Some(error) = self.incoming.take_last_error() {
                tracing::debug!(%error, "a socket reported an error of a datagram sent earlier");
            }
            let now = Instant::now();
            self.full_since[index] = match count {
                RECEIVE_BATCH.. => self.full_since[index].or(Some(now)),
                // Only errors were read: more may wait.
                0 => self.full_since[index],
                _ => None,
            };
            let bound = socket.local_address();
            for datagram in self.incoming.datagrams() {
                if !self.taps.is_empty() {
                    let to = datagram.local.ip().map_or(bound, |ip| SocketAddr::new(ip, bound.port()));
                    self.taps.iter_mut().for_each(|tap| tap(now, datagram.from, to, datagram.bytes));
                }
                if let Some(filter) = &mut self.filter
                    && !filter(now, index, datagram.from, datagram.bytes)
                {
                    continue;
                }
                let interface = self.interfaces.intern(index as u16, datagram.local);
                handle(now, interface, datagram.from, datagram.bytes);
            }
        }
        Ok(is_any)
    }

    /// Sends all datagrams that the endpoint has to send.
    pub async fn transmit(&mut self, endpoint: &mut Endpoint) {
        // What an earlier call has left that was dropped while the kernel had no room.
        self.flush_all().await;
        let now = Instant::now();
        loop {
            let start = self.outgoing_bytes.len();
            let Some(transmit) = endpoint.poll_transmit(now, &mut self.outgoing_bytes) else { break };
            let Some((socket, local)) = self.route_transmit(&transmit) else {
                tracing::debug!(to = %transmit.to, "a datagram is dropped: no socket has its address family");
                self.outgoing_bytes.truncate(start);
                continue;
            };
            if !self.taps.is_empty() {
                let bound = self.sockets[socket].local_address();
                let routed = || LocalAddress::towards(transmit.to).filter(|_| bound.ip().is_unspecified());
                let from = local.ip().or_else(routed).map_or(bound, |ip| SocketAddr::new(ip, bound.port()));
                let datagram = &self.outgoing_bytes[start..];
                self.taps.iter_mut().for_each(|tap| tap(now, from, transmit.to, datagram));
            }
            let end = self.outgoing_bytes.len();
            self.outgoing[socket].push(transmit.to, local, start..end);
            if self.outgoing[socket].is_full() || end >= SEND_BYTES {
                self.flush_all().await;
            }
        }
        self.flush_all().await;
    }

    /// Sends all that is queued, or drops it. Then nothing is queued at any socket.
    async fn flush_all(&mut self) {
        for socket in 0..self.sockets.len() {
            if !self.outgoing[socket].is_empty() {
                self.flush(socket).await;
            }
        }
        self.outgoing_bytes.clear();
    }

    /// The socket and the source address for a datagram: those of its interface, unless they are of the other address family.
    fn route_transmit(&self, transmit: &Transmit) -> Option<(usize, LocalAddress)> {
        let named = self.interfaces.lookup(transmit.interface).and_then(|interface| {
            let index = usize::from(interface.socket);
            let socket = self.sockets.get(index)?;
            (socket.local_address().is_ipv4() == transmit.to.is_ipv4()).then_some((index, interface.local))
        });
        named.or_else(|| {
            let InterfaceId(index) = self.route(transmit.to)?;
            Some((index as usize, LocalAddress::ANY))
        })
    }

    async fn flush(&mut self, socket: usize) {
        let (queue, bytes) = (&mut self.outgoing[socket], &self.outgoing_bytes);
        if !self.sockets[socket].send_queue(queue, bytes).is_done() {
            let flushed = tokio::time::timeout(FLUSH_TIMEOUT, self.sockets[socket].flush_queue(queue, bytes)).await;
            if !matches!(flushed, Ok(Ok(()))) {
                let dropped = queue.discard();
                tracing::warn!(dropped, "the kernel has no room for more datagrams: some are dropped");
            }
        }
        if let Some(error) = queue.take_last_error() {
            tracing::debug!(%error, "a datagram could not be sent");
        }
    }
}

#[cfg(test)]
mod tests;
