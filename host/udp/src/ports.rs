//! The sockets of one endpoint: batches of datagrams in, batches of datagrams out.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rtmfp::{Endpoint, InterfaceId, Transmit};

use super::async_socket::AsyncUdpSocket;
use super::interface::{Interface, Interfaces};
use super::local::LocalAddress;
use super::recv_batch::RecvBatch;
use super::send_batch::{Flush, SendBatch};
use super::socket::UdpSocket;

/// Datagrams taken in by one call. More gain little, and delay the answers to the first ones.
const RECEIVE_BATCH: usize = 64;
/// Datagrams given to the kernel by one call.
const SEND_BATCH: usize = 128;
const SEND_BYTES: usize = SEND_BATCH * 1280;
/// How long a full socket is waited for. What does not leave by then is dropped: to the peers it is one more lost packet.
const FLUSH_PATIENCE: Duration = Duration::from_millis(20);

/// Sees each datagram that goes in or out: time, source, destination, bytes.
pub type Tap = Box<dyn FnMut(Instant, SocketAddr, SocketAddr, &[u8]) + Send>;

/// Decides whether a datagram is taken in: time, the socket's place, source, bytes.
pub type Filter = Box<dyn FnMut(Instant, usize, SocketAddr, &[u8]) -> bool + Send>;

/// The sockets of one endpoint.
pub struct Ports {
    sockets: Vec<AsyncUdpSocket>,
    outgoing: Vec<SendBatch>,
    incoming: RecvBatch,
    interfaces: Interfaces,
    scratch: Vec<u8>,
    /// Datagrams that no socket could carry: an address family that is not listened on.
    unroutable: u64,
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
            outgoing: sockets.iter().map(|_| SendBatch::new(SEND_BATCH, SEND_BYTES)).collect(),
            incoming: RecvBatch::new(RECEIVE_BATCH),
            interfaces: Interfaces::new(u16::try_from(sockets.len()).unwrap_or(u16::MAX)),
            scratch: Vec::with_capacity(2048),
            unroutable: 0,
            taps: Vec::new(),
            filter: None,
            sockets,
        })
    }

    /// Has every datagram that comes and goes seen by `tap`, too.
    pub fn add_tap(&mut self, tap: Tap) {
        self.taps.push(tap);
    }

    /// From now on only datagrams that `filter` takes are handed over.
    pub fn set_filter(&mut self, filter: Filter) {
        self.filter = Some(filter);
    }

    /// The addresses that the sockets are bound to.
    pub fn local_addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.sockets.iter().map(AsyncUdpSocket::local_address)
    }

    /// Where an interface is: the local address with the socket's port.
    pub fn address_of(&self, interface: InterfaceId) -> Option<SocketAddr> {
        let interface = self.interfaces.lookup(interface)?;
        let bound = self.sockets.get(usize::from(interface.socket))?.local_address();
        Some(interface.local.ip().map_or(bound, |ip| SocketAddr::new(ip, bound.port())))
    }

    /// The interface of a datagram that another worker's twin of this socket took in.
    pub fn intern(&mut self, interface: Interface) -> InterfaceId {
        self.interfaces.intern(interface.socket, interface.local)
    }

    /// Which socket and local address an interface stands for.
    pub fn lookup(&self, interface: InterfaceId) -> Option<Interface> {
        self.interfaces.lookup(interface)
    }

    /// The default interface by which `to` can be reached.
    pub fn route(&self, to: SocketAddr) -> Option<InterfaceId> {
        let socket = self.sockets.iter().position(|socket| socket.local_address().is_ipv4() == to.is_ipv4())?;
        u32::try_from(socket).ok().map(InterfaceId)
    }

    /// Takes in one batch from each socket that has something, and hands over each datagram with the time of the batch, its
    /// interface and its source.
    ///
    /// # Errors
    /// If a socket is of no use any more.
    pub fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        mut handle: impl FnMut(Instant, InterfaceId, SocketAddr, &mut [u8]),
    ) -> Poll<io::Result<()>> {
        let taken = self.take_in(&mut handle, |socket, batch| match socket.poll_receive(context, batch) {
            Poll::Pending => Ok(None),
            Poll::Ready(result) => result.map(Some),
        });
        match taken {
            Ok(false) => Poll::Pending,
            Ok(true) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Takes in one batch from each socket that has something, as [`Self::poll_receive`] does, but asks the kernel whatever the
    /// runtime knows: after a standstill, it does not know yet what has come. False when nothing waits.
    ///
    /// # Errors
    /// If a socket is of no use any more.
    pub fn receive_now(
        &mut self,
        mut handle: impl FnMut(Instant, InterfaceId, SocketAddr, &mut [u8]),
    ) -> io::Result<bool> {
        self.take_in(&mut handle, |socket, batch| match socket.receive_now(batch) {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        })
    }

    /// Takes in what `receive` gets from each socket; false when that is nothing from any.
    fn take_in(
        &mut self,
        handle: &mut impl FnMut(Instant, InterfaceId, SocketAddr, &mut [u8]),
        mut receive: impl FnMut(&AsyncUdpSocket, &mut RecvBatch) -> io::Result<Option<usize>>,
    ) -> io::Result<bool> {
        let mut is_any = false;
        for (index, socket) in self.sockets.iter().enumerate() {
            if receive(socket, &mut self.incoming)?.is_none() {
                continue;
            }
            is_any = true;
            let now = Instant::now();
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

    /// Sends everything that the endpoint has to send.
    pub async fn transmit(&mut self, endpoint: &mut Endpoint) {
        let now = Instant::now();
        loop {
            self.scratch.clear();
            let Some(transmit) = endpoint.poll_transmit(now, &mut self.scratch) else { break };
            let Some((socket, local)) = self.route_transmit(&transmit) else {
                self.unroutable += 1;
                continue;
            };
            if !self.taps.is_empty() {
                let bound = self.sockets[socket].local_address();
                let ip = local.ip().or_else(|| LocalAddress::towards(transmit.to));
                let from = ip.map_or(bound, |ip| SocketAddr::new(ip, bound.port()));
                self.taps.iter_mut().for_each(|tap| tap(now, from, transmit.to, &self.scratch));
            }
            if self.outgoing[socket].push(transmit.to, local, &self.scratch).is_err() {
                self.flush(socket).await;
                // There is room now: a batch holds many datagrams of any size that the engine makes.
                let _ = self.outgoing[socket].push(transmit.to, local, &self.scratch);
            }
        }
        for socket in 0..self.sockets.len() {
            if !self.outgoing[socket].is_empty() {
                self.flush(socket).await;
            }
        }
    }

    /// The socket and source address for a datagram: the ones that its interface names, unless they are of the other family.
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
        let batch = &mut self.outgoing[socket];
        if matches!(self.sockets[socket].send(batch), Flush::Blocked) {
            let flushed = tokio::time::timeout(FLUSH_PATIENCE, self.sockets[socket].flush(batch)).await;
            if !matches!(flushed, Ok(Ok(()))) {
                let dropped = batch.discard();
                tracing::warn!(dropped, "the kernel takes no more datagrams: dropped");
            }
        }
        if let Some(error) = batch.take_last_error() {
            tracing::debug!(%error, "a datagram could not be sent");
        }
    }

    /// Waits for a batch of datagrams and hands each over.
    ///
    /// # Errors
    /// If a socket is of no use any more.
    pub async fn receive(
        &mut self,
        mut handle: impl FnMut(Instant, InterfaceId, SocketAddr, &mut [u8]),
    ) -> io::Result<()> {
        poll_fn(|context| self.poll_receive(context, &mut handle)).await
    }
}
