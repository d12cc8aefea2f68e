//! Many addresses to send from: each looks like another host to a server.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::Context as _;
use rustix::event::{Timespec, epoll};
use rustix::process::{Resource, getrlimit, setrlimit};

use introd_udp::{BufferSizes, LocalAddress, RecvBatch, SendBatch, UdpSocket};

const RECEIVE_BATCH: usize = 64;
const SEND_BATCH: usize = 64;
const SEND_BYTES: usize = SEND_BATCH * 1280;
/// Descriptors that the program needs for other things.
const SPARE_DESCRIPTORS: u64 = 64;
/// The addresses of 127.0.0.0/8, without those at either end that look like a network's or a broadcast address.
const LOOPBACK_HOSTS: usize = (1 << 24) - 512;

/// The sources, numbered from 0.
pub(super) struct Sources {
    kind: Kind,
    sockets: Vec<UdpSocket>,
    ready: OwnedFd,
    incoming: RecvBatch,
    outgoing: SendBatch,
    /// The socket that `outgoing` is for.
    sending: usize,
    count: usize,
}

/// What distinguishes sources.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The address: one socket has all of 127.0.0.0/8.
    Loopback,
    /// The port: each source has a socket.
    Ports,
}

impl Sources {
    /// `count` sources from which `server` can be reached; fewer if the system has fewer. If the server is at an IPv4 loopback
    /// address, they take one descriptor in all, otherwise one each.
    pub(super) fn new(server: SocketAddr, count: usize) -> anyhow::Result<Self> {
        let is_loopback = matches!(server.ip(), IpAddr::V4(ip) if ip.is_loopback());
        let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let bind = || UdpSocket::bind(SocketAddr::new(any, 0), BufferSizes::default());
        let ready = epoll::create(epoll::CreateFlags::CLOEXEC).context("no epoll")?;
        let (kind, count, sockets) = if is_loopback {
            (Kind::Loopback, count.min(LOOPBACK_HOSTS), 1)
        } else {
            let count = count.min(raise_descriptor_limit());
            (Kind::Ports, count, count)
        };
        let sockets = (0..sockets).map(|_| bind()).collect::<io::Result<Vec<_>>>().context("no more UDP sockets")?;
        for (number, socket) in (0..).zip(&sockets) {
            epoll::add(&ready, socket, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?;
        }
        let (incoming, outgoing) = (RecvBatch::new(RECEIVE_BATCH), SendBatch::new(SEND_BATCH, SEND_BYTES));
        Ok(Self { kind, sockets, ready, incoming, outgoing, sending: 0, count })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Queues a datagram from a source. It is sent with the next [`Self::flush`] at the latest.
    pub(super) fn send(&mut self, source: usize, to: SocketAddr, bytes: &[u8]) {
        let (socket, local) = match self.kind {
            Kind::Loopback => (0, loopback(source)),
            Kind::Ports => (source, LocalAddress::ANY),
        };
        if socket != self.sending {
            self.flush();
            self.sending = socket;
        }
        if self.outgoing.push(to, local, bytes).is_err() {
            self.flush();
            // An empty batch has room for any datagram of this protocol.
            let _ = self.outgoing.push(to, local, bytes);
        }
    }

    /// Sends what is queued. What the kernel has no room for is lost, as it might be in a network.
    pub(super) fn flush(&mut self) {
        if let Some(socket) = self.sockets.get(self.sending) {
            socket.send_or_drop(&mut self.outgoing);
        }
    }

    /// Waits for datagrams, for `wait` at most, and hands over those that arrived with the numbers of their sources.
    pub(super) fn receive(&mut self, wait: Duration, mut handle: impl FnMut(usize, &mut [u8])) -> io::Result<()> {
        if self.kind == Kind::Loopback && self.receive_from(0, &mut handle)? {
            return Ok(());
        }
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        let mut events = [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }; 64];
        let ready = match epoll::wait(&self.ready, &mut events, Some(&wait)) {
            Ok(ready) => ready,
            Err(rustix::io::Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for event in events.iter().take(ready) {
            self.receive_from(event.data.u64() as usize, &mut handle)?;
        }
        Ok(())
    }

    /// Receives one batch; false if no datagram waits.
    fn receive_from(&mut self, socket: usize, handle: &mut impl FnMut(usize, &mut [u8])) -> io::Result<bool> {
        let Some(from) = self.sockets.get(socket) else { return Ok(false) };
        if from.receive(&mut self.incoming)?.is_none() {
            return Ok(false);
        }
        for datagram in self.incoming.datagrams() {
            let source = match self.kind {
                Kind::Loopback => loopback_number(datagram.local),
                Kind::Ports => Some(socket),
            };
            if let Some(source) = source {
                handle(source, datagram.bytes);
            }
        }
        Ok(true)
    }
}

/// Number 0 is 127.0.1.0.
fn loopback(number: usize) -> LocalAddress {
    let host = (number % LOOPBACK_HOSTS) as u32 + 256;
    LocalAddress::new(IpAddr::V4(Ipv4Addr::from_bits(Ipv4Addr::new(127, 0, 0, 0).to_bits() | host)), 0)
}

fn loopback_number(local: LocalAddress) -> Option<usize> {
    let Some(IpAddr::V4(ip)) = local.ip() else { return None };
    (ip.to_bits() & 0xff_ffff).checked_sub(256).map(|number| number as usize)
}

/// Raises the limit on descriptors as far as it goes; returns how many sockets there can be.
fn raise_descriptor_limit() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If the limit cannot be raised, there are fewer sources.
    let _ = setrlimit(Resource::Nofile, limit);
    let current = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20);
    usize::try_from(current.saturating_sub(SPARE_DESCRIPTORS)).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_and_back() {
        for number in [0, 1, 255, 65_536, LOOPBACK_HOSTS - 1] {
            assert_eq!(loopback_number(loopback(number)), Some(number));
        }
        assert_eq!(loopback(0).ip(), Some("127.0.1.0".parse().unwrap()));
        assert_eq!(loopback_number(LocalAddress::ANY), None);
    }

    #[test]
    fn every_source_is_another_address_and_gets_its_own_answers() {
        for ip in ["127.0.0.1", "::1"] {
            let server = std::net::UdpSocket::bind((ip.parse::<IpAddr>().unwrap(), 0)).unwrap();
            let mut sources = Sources::new(server.local_addr().unwrap(), 3).unwrap();
            assert_eq!(sources.count(), 3);
            for source in 0..3 {
                sources.send(source, server.local_addr().unwrap(), &[source as u8]);
            }
            sources.flush();
            let mut seen = Vec::new();
            for _ in 0..3 {
                let mut bytes = [0; 8];
                let (len, from) = server.recv_from(&mut bytes).unwrap();
                server.send_to(&bytes[..len], from).unwrap();
                seen.push(from);
            }
            seen.sort();
            seen.dedup();
            assert_eq!(seen.len(), 3);
            let mut answers = Vec::new();
            while answers.len() < 3 {
                sources
                    .receive(Duration::from_secs(5), |source, bytes| answers.push((source, bytes.to_vec())))
                    .unwrap();
            }
            answers.sort();
            assert_eq!(answers, [(0, vec![0]), (1, vec![1]), (2, vec![2])]);
        }
    }
}
