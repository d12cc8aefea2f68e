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
/// How many sources share a socket. Clients of a real network have buffers of their own: those of one socket here hold the answers to some
/// thousands.
const SHARING: usize = 4096;
/// The most sockets of one server's sources at an IPv4 loopback address.
const MAX_SHARED_SOCKETS: usize = 32;
/// The addresses of 127.0.0.0/8, without those at either end that look like a network's or a broadcast address.
const LOOPBACK_HOSTS: usize = (1 << 24) - 512;

/// The sources, numbered from 0. They use the servers by turns: source number n sends to server number n modulo the number of servers.
pub(super) struct Sources {
    parts: Vec<Part>,
    ready: OwnedFd,
    incoming: RecvBatch,
    outgoing: SendBatch,
    /// The socket that `outgoing` is for.
    sending: Place,
}

/// Sources with successive numbers, with sockets of their own.
struct Part {
    first: usize,
    count: usize,
    /// One for each server.
    banks: Vec<Bank>,
}

/// The sources of a part from which one server is reached.
struct Bank {
    kind: Kind,
    sockets: Vec<UdpSocket>,
    /// The socket that is read next, of those that sources share.
    next: usize,
}

/// What distinguishes the sources of a bank.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The address: a socket has all of 127.0.0.0/8, and sources share it.
    Loopback,
    /// The port: each source has a socket.
    Ports,
}

/// A socket.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    part: u8,
    bank: u8,
    socket: u32,
}

impl Place {
    const FIRST: Self = Self { part: 0, bank: 0, socket: 0 };

    fn to_u64(self) -> u64 {
        u64::from(self.part) << 40 | u64::from(self.bank) << 32 | u64::from(self.socket)
    }

    fn from_u64(value: u64) -> Self {
        Self { part: (value >> 40) as u8, bank: (value >> 32) as u8, socket: value as u32 }
    }
}

impl Sources {
    /// As many sources as the sum of `parts`, from which the servers can be reached; fewer if the system has fewer. Those of a server at an IPv4
    /// loopback address take a few descriptors for each part, all others one each.
    ///
    /// What comes to an earlier part is received before what comes to a later one, and does not wait behind it in a socket's buffer.
    pub(super) fn new(servers: &[SocketAddr], parts: &[usize]) -> anyhow::Result<Self> {
        anyhow::ensure!((1..=64).contains(&servers.len()), "between 1 and 64 servers can be loaded at a time");
        let ready = epoll::create(epoll::CreateFlags::CLOEXEC).context("no epoll")?;
        let mut descriptors = raise_descriptor_limit();
        let mut made = Vec::new();
        let mut first = 0;
        for (part, wanted) in (0u8..).zip(parts) {
            let mut count = (*wanted).min(LOOPBACK_HOSTS - first);
            // The servers whose sources need a socket each.
            let by_port = servers.iter().filter(|server| kind(server) == Kind::Ports).count();
            if let Some(each) = descriptors.saturating_sub(servers.len()).checked_div(by_port) {
                count = count.min((each * servers.len()).max(1));
            }
            let banks = (0..servers.len())
                .map(|bank| {
                    let own = (first..first + count).filter(|source| source % servers.len() == bank).count();
                    Bank::new(&servers[bank], own)
                })
                .collect::<io::Result<Vec<_>>>()
                .context("no more UDP sockets")?;
            for (bank, Bank { sockets, .. }) in (0u8..).zip(&banks) {
                descriptors = descriptors.saturating_sub(sockets.len());
                for (socket, descriptor) in (0u32..).zip(sockets) {
                    let data = epoll::EventData::new_u64(Place { part, bank, socket }.to_u64());
                    epoll::add(&ready, descriptor, data, epoll::EventFlags::IN)?;
                }
            }
            made.push(Part { first, count, banks });
            first += count;
        }
        let (incoming, outgoing) = (RecvBatch::new(RECEIVE_BATCH), SendBatch::new(SEND_BATCH, SEND_BYTES));
        Ok(Self { parts: made, ready, incoming, outgoing, sending: Place::FIRST })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.parts.iter().map(|part| part.count).sum()
    }

    /// Queues a datagram from a source. It is sent with the next [`Self::flush`] at the latest.
    pub(super) fn send(&mut self, source: usize, to: SocketAddr, bytes: &[u8]) {
        let Some((number, part)) = self.parts.iter().enumerate().rfind(|(_, part)| part.first <= source) else {
            return;
        };
        let bank = source % part.banks.len();
        let (socket, local) = match part.banks[bank].kind {
            Kind::Loopback => {
                ((source - part.first) / part.banks.len() % part.banks[bank].sockets.len().max(1), loopback(source))
            }
            Kind::Ports => ((source - part.first) / part.banks.len(), LocalAddress::ANY),
        };
        let place = Place { part: number as u8, bank: bank as u8, socket: socket as u32 };
        if place != self.sending {
            self.flush();
            self.sending = place;
        }
        if self.outgoing.push(to, local, bytes).is_err() {
            self.flush();
            // An empty batch has room for any datagram of this protocol.
            let _ = self.outgoing.push(to, local, bytes);
        }
    }

    /// Sends what is queued. What the kernel has no room for is lost, as it might be in a network.
    pub(super) fn flush(&mut self) {
        if let Some((_, _, socket)) = socket(&self.parts, self.sending) {
            socket.send_or_drop(&mut self.outgoing);
        }
    }

    /// Waits for datagrams, for `wait` at most, and hands over those that arrived with the numbers of their sources.
    pub(super) fn receive(&mut self, wait: Duration, mut handle: impl FnMut(usize, &mut [u8])) -> io::Result<()> {
        let mut is_any = false;
        for part in 0..self.parts.len() {
            for bank in 0..self.parts[part].banks.len() {
                let Bank { kind, sockets, next } = &mut self.parts[part].banks[bank];
                if *kind != Kind::Loopback {
                    continue;
                }
                // One batch of each bank, of the next of its sockets that has one.
                let (first, count) = (*next, sockets.len());
                for socket in (first..first + count).map(|socket| socket % count) {
                    let place = Place { part: part as u8, bank: bank as u8, socket: socket as u32 };
                    if self.receive_from(place, &mut handle)? {
                        self.parts[part].banks[bank].next = (socket + 1) % count;
                        is_any = true;
                        break;
                    }
                }
            }
        }
        if is_any {
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
            self.receive_from(Place::from_u64(event.data.u64()), &mut handle)?;
        }
        Ok(())
    }

    /// Receives one batch; false if no datagram waits.
    fn receive_from(&mut self, place: Place, handle: &mut impl FnMut(usize, &mut [u8])) -> io::Result<bool> {
        let Some((part, bank, socket)) = socket(&self.parts, place) else { return Ok(false) };
        if socket.receive(&mut self.incoming)?.is_none() {
            return Ok(false);
        }
        for datagram in self.incoming.datagrams() {
            let source = match bank.kind {
                Kind::Loopback => loopback_number(datagram.local),
                Kind::Ports => Some(part.source(usize::from(place.bank), place.socket as usize)),
            };
            if let Some(source) = source {
                handle(source, datagram.bytes);
            }
        }
        Ok(true)
    }
}

fn socket(parts: &[Part], place: Place) -> Option<(&Part, &Bank, &UdpSocket)> {
    let part = parts.get(usize::from(place.part))?;
    let bank = part.banks.get(usize::from(place.bank))?;
    Some((part, bank, bank.sockets.get(place.socket as usize)?))
}

impl Part {
    /// The number of the source that has a place in a bank.
    fn source(&self, bank: usize, place: usize) -> usize {
        let servers = self.banks.len();
        self.first + place * servers + (bank + servers - self.first % servers) % servers
    }
}

impl Bank {
    fn new(server: &SocketAddr, count: usize) -> io::Result<Self> {
        let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let kind = kind(server);
        let sockets = if kind == Kind::Loopback { count.div_ceil(SHARING).clamp(1, MAX_SHARED_SOCKETS) } else { count };
        let sockets = (0..sockets).map(|_| UdpSocket::bind(SocketAddr::new(any, 0), BufferSizes::default()));
        Ok(Self { kind, sockets: sockets.collect::<io::Result<_>>()?, next: 0 })
    }
}

fn kind(server: &SocketAddr) -> Kind {
    if matches!(server.ip(), IpAddr::V4(ip) if ip.is_loopback()) { Kind::Loopback } else { Kind::Ports }
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

    /// Each source sends its number to its server, which sends it back.
    fn each_source_is_another_address_and_gets_its_own_answers(ips: &[&str], parts: &[usize]) {
        let bind = |ip: &&str| std::net::UdpSocket::bind((ip.parse::<IpAddr>().unwrap(), 0)).unwrap();
        let servers: Vec<std::net::UdpSocket> = ips.iter().map(bind).collect();
        let addresses: Vec<SocketAddr> = servers.iter().map(|server| server.local_addr().unwrap()).collect();
        let mut sources = Sources::new(&addresses, parts).unwrap();
        let count: usize = parts.iter().sum();
        assert_eq!(sources.count(), count);
        for source in 0..count {
            sources.send(source, addresses[source % ips.len()], &[source as u8]);
        }
        sources.flush();
        let mut seen = Vec::new();
        for number in 0..count {
            let (mut bytes, server) = ([0; 8], &servers[number % ips.len()]);
            let (len, from) = server.recv_from(&mut bytes).unwrap();
            server.send_to(&bytes[..len], from).unwrap();
            seen.push(from);
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), count);
        let mut answers = Vec::new();
        while answers.len() < count {
            sources.receive(Duration::from_secs(5), |source, bytes| answers.push((source, bytes.to_vec()))).unwrap();
        }
        answers.sort();
        let expected: Vec<_> = (0..count).map(|source| (source, vec![source as u8])).collect();
        assert_eq!(answers, expected);
    }

    #[test]
    fn many_sources_at_loopback_addresses_share_some_sockets_and_each_is_read() {
        let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let mut sources = Sources::new(&[address], &[2, 3 * SHARING]).unwrap();
        assert_eq!(sources.parts.iter().map(|part| part.banks[0].sockets.len()).collect::<Vec<_>>(), [1, 3]);
        for source in [1, 2, 3, 4, 5, 3 * SHARING + 1] {
            sources.send(source, address, &[7]);
            sources.flush();
            let (mut bytes, mut seen) = ([0; 8], None);
            let (len, from) = server.recv_from(&mut bytes).unwrap();
            server.send_to(&bytes[..len], from).unwrap();
            while seen.is_none() {
                sources.receive(Duration::from_secs(5), |source, _| seen = Some(source)).unwrap();
            }
            assert_eq!(seen, Some(source));
        }
    }

    #[test]
    fn sources_of_one_server_are_different_addresses() {
        each_source_is_another_address_and_gets_its_own_answers(&["127.0.0.1"], &[3]);
        each_source_is_another_address_and_gets_its_own_answers(&["::1"], &[3]);
    }

    #[test]
    fn sources_use_servers_by_turns_and_parts_have_sockets_of_their_own() {
        each_source_is_another_address_and_gets_its_own_answers(&["127.0.0.1", "::1"], &[4, 6]);
        each_source_is_another_address_and_gets_its_own_answers(&["127.0.0.1"], &[2, 2]);
        each_source_is_another_address_and_gets_its_own_answers(&["::1"], &[1, 2]);
        each_source_is_another_address_and_gets_its_own_answers(&["::1", "127.0.0.1"], &[3, 4]);
    }
}
