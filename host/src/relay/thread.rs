//! The thread that passes datagrams on.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use introd_liveness::{BEAT, Pulse};
use introd_relay::Pairs;
use introd_udp::{AsyncUdpSocket, LocalAddress, RecvBatch, SendBatch, UdpSocket, sleep_until};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::order::Order;
use super::ports::Places;

/// How many datagrams are received at once, and decided about while the table is locked.
const RECEIVE_BATCH: usize = 64;
/// How many datagrams are sent at once by one socket. A socket that has less room than a batch that is received is sent before the next one.
const SEND_BATCH: usize = 2 * RECEIVE_BATCH;
const SEND_BYTES: usize = SEND_BATCH * 1500;

/// What the relay's thread works with.
pub(super) struct RelayThread {
    sockets: Vec<Socket>,
    /// The sockets of each port, by their places.
    places: Places,
    incoming: RecvBatch,
    pairs: Arc<Mutex<Pairs<LocalAddress>>>,
}

struct Socket {
    socket: AsyncUdpSocket,
    /// The port that it belongs to.
    port: u16,
    outgoing: SendBatch,
}

impl RelayThread {
    /// Registers the sockets with the current runtime.
    pub(super) fn new(
        sockets: Vec<UdpSocket>,
        places: Places,
        pairs: Arc<Mutex<Pairs<LocalAddress>>>,
    ) -> io::Result<Self> {
        let port_of = |socket| places.iter().position(|port| port.contains(&Some(socket)));
        let sockets = sockets.into_iter().enumerate().map(|(place, socket)| {
            let port = port_of(place).and_then(|port| u16::try_from(port).ok()).unwrap_or(u16::MAX);
            let socket = AsyncUdpSocket::register(socket)?;
            Ok(Socket { socket, port, outgoing: SendBatch::new(SEND_BATCH, SEND_BYTES) })
        });
        let sockets = sockets.collect::<io::Result<_>>()?;
        Ok(Self { sockets, places, incoming: RecvBatch::new(RECEIVE_BATCH), pairs })
    }

    /// Does as it is told, until it is told to end.
    pub(super) async fn run(mut self, mut orders: watch::Receiver<Order>, pulse: &Pulse) -> io::Result<()> {
        let mut serves = false;
        // What it was told before it began counts as well.
        orders.mark_changed();
        loop {
            pulse.beat();
            let now = Instant::now();
            let beat = now + BEAT;
            let wake = if serves { self.handle_timeout(now).map_or(beat, |next| next.min(beat)) } else { beat };
            tokio::select! {
                received = poll_fn(|context| self.poll_round(context)), if serves => received?,
                () = sleep_until(Some(wake)) => (),
                changed = orders.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    match &*orders.borrow_and_update() {
                        Order::Serve => serves = true,
                        Order::Wait => serves = false,
                        Order::StandStill(stands) => {
                            serves = false;
                            // Who waits for that may have given up.
                            let _ = stands.send(());
                        }
                        Order::End => return Ok(()),
                    }
                }
            }
        }
    }

    /// Ends the pairs whose time is over. Gives when that is to be done next.
    fn handle_timeout(&self, now: Instant) -> Option<Instant> {
        let mut pairs = self.pairs.lock();
        pairs.handle_timeout(now);
        pairs.next_timeout()
    }

    /// Receives a batch from each socket that has datagrams, and sends what is to be passed on of them.
    fn poll_round(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut is_any = false;
        for place in 0..self.sockets.len() {
            let Some(Socket { socket, port, .. }) = self.sockets.get(place) else { break };
            let port = *port;
            match socket.poll_receive(context, &mut self.incoming) {
                Poll::Pending => continue,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(_)) => is_any = true,
            }
            self.decide(port);
            self.send_if(|queued| queued > SEND_BATCH - RECEIVE_BATCH);
        }
        if !is_any {
            return Poll::Pending;
        }
        self.send_if(|queued| queued > 0);
        Poll::Ready(Ok(()))
    }

    /// Decides about the datagrams that have come to a port. No socket is used while the table is locked.
    fn decide(&mut self, port: u16) {
        let now = Instant::now();
        let pairs = Arc::clone(&self.pairs);
        let mut table = pairs.lock();
        let mut lost = 0;
        for datagram in self.incoming.datagrams() {
            let Ok(forward) = table.datagram(now, port, datagram.local, datagram.from, datagram.bytes) else {
                continue;
            };
            let place =
                self.places.get(usize::from(forward.port)).and_then(|port| port[usize::from(forward.to.is_ipv6())]);
            let Some(Socket { outgoing, .. }) = place.and_then(|place| self.sockets.get_mut(place)) else { continue };
            if outgoing.push(forward.to, forward.local, datagram.bytes).is_err() {
                lost += 1;
            }
        }
        table.counts_mut().lose(lost);
    }

    /// Sends what is queued at the sockets where so much is. What the kernel does not take is lost, as on a full line.
    fn send_if(&mut self, is_due: impl Fn(usize) -> bool) {
        let mut lost = 0;
        for Socket { socket, outgoing, .. } in &mut self.sockets {
            let queued = outgoing.len();
            if is_due(queued) {
                lost += queued.saturating_sub(socket.send_or_drop(outgoing));
            }
        }
        if lost > 0 {
            self.pairs.lock().counts_mut().lose(lost as u64);
        }
    }
}
