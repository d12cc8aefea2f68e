//! Many datagrams from one system call.

use std::io;
use std::net::SocketAddr;

use crate::local::LocalAddress;
use crate::platform::{Messages, Socket, breaks_socket};

/// The longest datagram that is received whole, in bytes. RTMFP packets fit the path MTU, so a longer datagram is no RTMFP.
pub(super) const MAX_DATAGRAM: usize = 2048;

/// The most errors in a row that [`RecvBatch::receive`] reads before it returns to its caller.
const MAX_ERRORS: usize = 16;

/// Preallocated memory for the datagrams of one call that receives many.
///
/// Datagrams of more than 2048 bytes are dropped: they are no RTMFP.
pub struct RecvBatch {
    buffer: Box<[u8]>,
    messages: Messages,
    count: usize,
    bound: Option<LocalAddress>,
    last_error: Option<io::Error>,
}

/// A received datagram.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// Its source.
    pub from: SocketAddr,
    /// The address on this host that it was sent to.
    pub local: LocalAddress,
    /// Its payload, which may be decrypted in place.
    pub bytes: &'a mut [u8],
}

impl RecvBatch {
    /// Memory for `datagrams` datagrams; between 1 and 1024.
    pub fn new(datagrams: usize) -> Self {
        let messages = Messages::new(datagrams);
        let buffer = vec![0; messages.capacity() * MAX_DATAGRAM].into();
        Self { buffer, messages, count: 0, bound: None, last_error: None }
    }

    /// How many datagrams one system call may receive.
    pub(super) fn capacity(&self) -> usize {
        self.messages.capacity()
    }

    /// The last error that a socket reported in place of a datagram, such as the ICMP answer to a datagram sent earlier. Each error
    /// is returned once.
    pub(super) fn take_last_error(&mut self) -> Option<io::Error> {
        self.last_error.take()
    }

    /// Replaces the batch's datagrams by those that wait on `socket`. `bound` is the address that the socket is bound to; `None` if
    /// the socket reports the local address of each datagram.
    pub(super) fn receive(&mut self, socket: &Socket, bound: Option<LocalAddress>) -> io::Result<usize> {
        self.count = 0;
        self.bound = bound;
        for _ in 0..MAX_ERRORS {
            match self.messages.receive(socket, &mut self.buffer, MAX_DATAGRAM) {
                Ok(count) => {
                    self.count = count;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock || breaks_socket(&error) => return Err(error),
                // The error belongs to a datagram sent earlier, or does not last until the next call.
                Err(error) => self.last_error = Some(error),
            }
        }
        Ok(0)
    }

    /// The datagrams of the last call that received some, without the truncated ones.
    pub fn datagrams(&mut self) -> impl Iterator<Item = Datagram<'_>> {
        let bound = self.bound;
        let slots = self.buffer.chunks_exact_mut(MAX_DATAGRAM);
        slots.zip(self.messages.received(self.count)).filter_map(move |(slot, received)| {
            let bytes = slot.get_mut(..received.len)?;
            (!received.truncated).then_some(Datagram {
                from: received.from?,
                local: bound.unwrap_or(received.local),
                bytes,
            })
        })
    }
}
