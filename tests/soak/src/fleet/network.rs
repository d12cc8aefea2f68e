//! One socket for all clients: each sends from a loopback address of its own, and so looks like a host of its own to servers and to others.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use introd_udp::{BufferSizes, LocalAddress, RecvBatch, SendBatch, UdpSocket};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const BATCH: usize = 64;
const BATCH_BYTES: usize = BATCH * 1280;
/// Room for what many clients are sent at once.
const BUFFERS: BufferSizes = BufferSizes { receive: 8 << 20, send: 4 << 20 };
/// The first of them is 127.0.1.0, so that none is the address of a server.
const FIRST: u32 = 256;
/// The last is 127.255.254.255.
const PLACES: u32 = (1 << 24) - 2 * FIRST;

/// A loopback address, by its number from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place(u32);

impl Place {
    /// The place of that number; numbers that are too great begin anew.
    pub(super) fn new(number: u64) -> Self {
        Self((number % u64::from(PLACES)) as u32)
    }

    fn ip(self) -> IpAddr {
        Ipv4Addr::from_bits(Ipv4Addr::new(127, 0, 0, 0).to_bits() | (self.0 + FIRST)).into()
    }

    fn of(local: LocalAddress) -> Option<Self> {
        let Some(IpAddr::V4(ip)) = local.ip() else { return None };
        (ip.to_bits() & 0xff_ffff).checked_sub(FIRST).map(Self)
    }
}

/// The socket.
pub(super) struct Network {
    socket: UdpSocket,
    port: u16,
    incoming: RecvBatch,
    outgoing: SendBatch,
}

impl Network {
    pub(super) fn new() -> anyhow::Result<Self> {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let socket = UdpSocket::bind(any, BUFFERS).context("no UDP socket can be bound")?;
        let port = socket.local_address().port();
        Ok(Self { socket, port, incoming: RecvBatch::new(BATCH), outgoing: SendBatch::new(BATCH, BATCH_BYTES) })
    }

    /// The address of a place.
    pub(super) fn address(&self, place: Place) -> SocketAddr {
        SocketAddr::new(place.ip(), self.port)
    }

    /// Queues a datagram. It is sent with the next [`Self::flush`] at the latest.
    pub(super) fn send(&mut self, place: Place, to: SocketAddr, bytes: &[u8]) {
        let local = LocalAddress::new(place.ip(), 0);
        if self.outgoing.push(to, local, bytes).is_err() {
            self.flush();
            // An empty batch has room for any datagram of this protocol.
            let _ = self.outgoing.push(to, local, bytes);
        }
    }

    /// Sends what is queued. What the kernel has no room for is lost, as it might be in a network.
    pub(super) fn flush(&mut self) {
        if !self.outgoing.is_empty() {
            self.socket.send_or_drop(&mut self.outgoing);
        }
    }

    /// Waits for datagrams, for `wait` at most, and hands over those that have come, with their places and where they come from.
    pub(super) fn receive(
        &mut self,
        wait: Duration,
        mut handle: impl FnMut(Place, SocketAddr, &mut [u8]),
    ) -> anyhow::Result<()> {
        if self.socket.receive(&mut self.incoming)?.is_none() {
            let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&wait)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(()),
                Ok(_) => (),
                Err(error) => return Err(error.into()),
            }
            if self.socket.receive(&mut self.incoming)?.is_none() {
                return Ok(());
            }
        }
        for datagram in self.incoming.datagrams() {
            if let Some(place) = Place::of(datagram.local) {
                handle(place, datagram.from, datagram.bytes);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_addresses_of_their_own_and_send_to_each_other() {
        let mut network = Network::new().unwrap();
        let places = [0, 1, 300, u64::from(PLACES) - 1].map(Place::new);
        assert_eq!(Place::new(u64::from(PLACES)), places[0]);
        for (number, place) in places.into_iter().enumerate() {
            let to = network.address(places[(number + 1) % places.len()]);
            network.send(place, to, &[number as u8]);
        }
        network.flush();
        let mut received = Vec::new();
        while received.len() < places.len() {
            network
                .receive(Duration::from_secs(5), |place, from, bytes| received.push((bytes[0], place, from)))
                .unwrap();
        }
        received.sort_by_key(|(number, ..)| *number);
        for (number, (sent, place, from)) in received.into_iter().enumerate() {
            assert_eq!((usize::from(sent), place), (number, places[(number + 1) % places.len()]));
            assert_eq!(from, network.address(places[number]));
        }
    }
}
