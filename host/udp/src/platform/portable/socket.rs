//! A socket, one datagram at a time.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};

use crate::datagram::{Outgoing, Received};
use crate::local::LocalAddress;

/// Whether several sockets can have one port, so that the system spreads the senders over them. macOS and Windows let sockets share a port, but
/// give all datagrams to one of them.
pub const CAN_SHARE_PORTS: bool = false;

/// The longest that UDP can carry, and a little more.
const SCRATCH: usize = 64 << 10;
/// The smallest buffer that is asked for when the system refuses larger ones.
const MIN_BUFFER: usize = 64 << 10;

/// A socket that is bound and never blocks.
#[derive(Debug)]
pub(crate) struct Socket {
    socket: socket2::Socket,
    state: UdpSocketState,
    last: Mutex<Last>,
}

/// What the last call has received. Some systems give several datagrams of one sender in one piece.
#[derive(Debug, Default)]
struct Last {
    bytes: Box<[u8]>,
    about: RecvMeta,
    /// How many of its bytes have been handed over.
    taken: usize,
}

impl Socket {
    /// The bound socket. It reports local addresses from now on, and nothing that it sends is fragmented.
    ///
    /// # Errors
    /// Those of the system's socket options.
    pub(crate) fn new(socket: socket2::Socket) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Self { socket, state, last: Mutex::default() })
    }

    /// The socket, for its options.
    pub(crate) fn options(&self) -> &socket2::Socket {
        &self.socket
    }

    /// Puts the next datagram that waits into `slot`.
    ///
    /// # Errors
    /// `WouldBlock` if none waits; others belong to a datagram sent earlier, or to the socket.
    pub(super) fn receive(&self, slot: &mut [u8]) -> io::Result<Received> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.taken >= last.about.len {
            last.receive(self)?;
        }
        Ok(last.next(slot))
    }

    /// Sends a datagram whose bytes are in `buffer`. With `source_bound` it names no source: the socket is bound to one address.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room; others belong to this datagram.
    pub(super) fn send(&self, buffer: &[u8], datagram: &Outgoing, source_bound: bool) -> io::Result<()> {
        let local = if source_bound { LocalAddress::ANY } else { datagram.local.fit_for(datagram.to) };
        let contents = buffer.get(datagram.bytes.clone()).unwrap_or_default();
        let transmit =
            Transmit { destination: datagram.to, ecn: None, contents, segment_size: None, src_ip: local.ip() };
        self.state.try_send((&self.socket).into(), &transmit)
    }
}

impl Last {
    fn receive(&mut self, socket: &Socket) -> io::Result<()> {
        if self.bytes.is_empty() {
            self.bytes = vec![0; SCRATCH].into();
        }
        (self.about, self.taken) = (RecvMeta::default(), 0);
        let mut about = [RecvMeta::default()];
        socket.state.recv((&socket.socket).into(), &mut [IoSliceMut::new(&mut self.bytes)], &mut about)?;
        [self.about] = about;
        Ok(())
    }

    fn next(&mut self, slot: &mut [u8]) -> Received {
        let RecvMeta { addr, len, stride, dst_ip, interface_index, .. } = self.about;
        let end = len.min(self.taken + stride.max(1));
        let bytes = self.bytes.get(self.taken..end).unwrap_or_default();
        self.taken = end;
        let fits = bytes.len().min(slot.len());
        slot[..fits].copy_from_slice(&bytes[..fits]);
        // Nothing can be sent from the address of a group.
        let own = dst_ip.filter(|ip| !ip.is_multicast());
        Received {
            len: fits,
            truncated: fits < bytes.len(),
            from: Some(without_flow(addr)),
            local: own.map_or(LocalAddress::ANY, |ip| LocalAddress::new(ip, interface_index.unwrap_or(0))),
        }
    }
}

/// The address without the flow label: the addresses of two datagrams of one peer must compare equal.
fn without_flow(mut address: SocketAddr) -> SocketAddr {
    if let SocketAddr::V6(v6) = &mut address {
        v6.set_flowinfo(0);
    }
    address
}

/// Sets what must be set before a socket is bound: nothing. [`Socket::new`] does the rest.
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Linux")]
pub(crate) fn prepare(_: &socket2::Socket, _: SocketAddr) -> io::Result<()> {
    Ok(())
}

/// Lets several sockets receive what is sent to a multicast address. Returns the address to bind it to.
pub(crate) fn prepare_multicast(socket: &socket2::Socket, group: SocketAddr) -> io::Result<SocketAddr> {
    socket.set_reuse_address(true)?;
    // Systems that come from BSD want both.
    #[cfg(all(unix, not(target_os = "linux")))]
    socket.set_reuse_port(true)?;
    let any =
        if group.is_ipv4() { std::net::Ipv4Addr::UNSPECIFIED.into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() };
    // Windows lets nothing be bound to the address of a group.
    Ok(if cfg!(windows) { SocketAddr::new(any, group.port()) } else { group })
}

/// Several sockets for one port would not share its datagrams.
pub(crate) fn share(_: &socket2::Socket) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "on this system one worker serves a port: set the number of workers to 1",
    ))
}

/// Asks for so many bytes for datagrams that wait to be received.
pub(crate) fn set_receive_buffer(socket: &socket2::Socket, size: usize) -> io::Result<()> {
    as_much_as_granted(size, |size| socket.set_recv_buffer_size(size))
}

/// Asks for so many bytes for datagrams that wait to be sent.
pub(crate) fn set_send_buffer(socket: &socket2::Socket, size: usize) -> io::Result<()> {
    as_much_as_granted(size, |size| socket.set_send_buffer_size(size))
}

/// Asks for less until the system does not refuse: some grant no part of what is too much. What a socket has from the start is enough.
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Linux")]
fn as_much_as_granted(size: usize, set: impl Fn(usize) -> io::Result<()>) -> io::Result<()> {
    let mut size = size;
    while set(size).is_err() && size > MIN_BUFFER {
        size /= 2;
    }
    Ok(())
}

/// The sizes of a socket's buffers: for receiving, and for sending.
pub(crate) fn granted_buffers(socket: &socket2::Socket) -> io::Result<(usize, usize)> {
    // Linux reports twice of what it was asked for.
    let divisor = if cfg!(target_os = "linux") { 2 } else { 1 };
    Ok((socket.recv_buffer_size()? / divisor, socket.send_buffer_size()? / divisor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_that_came_in_one_piece_are_taken_apart() {
        let mut last = Last { bytes: (0..100).collect(), ..Last::default() };
        last.about.addr = "[2001:db8::1]:5".parse().unwrap();
        (last.about.len, last.about.stride) = (25, 10);
        last.about.dst_ip = Some("2001:db8::9".parse().unwrap());
        let mut slot = [0; 8];
        let mut lens = Vec::new();
        while last.taken < last.about.len {
            let received = last.next(&mut slot);
            assert_eq!(received.from, Some(last.about.addr));
            assert_eq!(received.local.ip(), last.about.dst_ip);
            lens.push((received.len, received.truncated, slot[0]));
        }
        assert_eq!(lens, [(8, true, 0), (8, true, 10), (5, false, 20)]);
    }

    #[test]
    fn a_group_is_no_address_to_send_from() {
        let mut last = Last::default();
        last.about.dst_ip = Some("239.255.77.1".parse().unwrap());
        let received = last.next(&mut []);
        assert_eq!((received.local, received.len, received.truncated), (LocalAddress::ANY, 0, false));
    }

    #[test]
    fn a_buffer_that_is_refused_is_asked_for_in_half() {
        let asked = std::cell::RefCell::new(Vec::new());
        let set = |size| {
            asked.borrow_mut().push(size);
            if size > 300 << 10 { Err(io::ErrorKind::OutOfMemory.into()) } else { Ok(()) }
        };
        as_much_as_granted(1 << 20, set).unwrap();
        assert_eq!(asked.take(), [1 << 20, 512 << 10, 256 << 10]);
        as_much_as_granted(1 << 20, |_| Err(io::ErrorKind::OutOfMemory.into())).unwrap();
    }
}
