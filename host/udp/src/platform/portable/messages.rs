//! The datagrams of a batch, received and sent one after the other.

use std::io;

use super::socket::Socket;
use crate::datagram::{Outgoing, Received};

/// The most datagrams of a batch.
const MAX_DATAGRAMS: usize = 1024;

/// What is known of the datagrams of a batch.
pub(crate) struct Messages {
    capacity: usize,
    received: Vec<Received>,
}

impl Messages {
    /// Room for `count` datagrams; at most 1024.
    pub(crate) fn new(count: usize) -> Self {
        let capacity = count.clamp(1, MAX_DATAGRAMS);
        Self { capacity, received: Vec::with_capacity(capacity) }
    }

    /// How many datagrams one call can receive or send.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Fills `buffer`, which is cut into slots of `slot` bytes, with the datagrams that wait on the socket. Returns how many those
    /// were. Never waits.
    pub(crate) fn receive(&mut self, socket: &Socket, buffer: &mut [u8], slot: usize) -> io::Result<usize> {
        self.received.clear();
        for slot in buffer.chunks_exact_mut(slot).take(self.capacity) {
            match socket.receive(slot) {
                Ok(received) => self.received.push(received),
                Err(error) if self.received.is_empty() => return Err(error),
                // It belongs to a datagram sent earlier, or none waits any more. What has come is not held up by it.
                Err(error) => {
                    if error.kind() != io::ErrorKind::WouldBlock {
                        tracing::debug!(%error, "a socket reported an error of a datagram sent earlier");
                    }
                    break;
                }
            }
        }
        Ok(self.received.len())
    }

    /// What the last [`Messages::receive`] has learnt of its first `count` datagrams.
    pub(crate) fn received(&self, count: usize) -> impl ExactSizeIterator<Item = &Received> {
        self.received.iter().take(count)
    }

    /// Prepares to send as many datagrams of `outgoing` as fit. Their bytes are in `buffer`. With `source_bound` they name no source: the
    /// socket is bound to one address.
    pub(crate) fn load<'a>(&mut self, buffer: &'a [u8], outgoing: &'a [Outgoing], source_bound: bool) -> Loaded<'a> {
        Loaded { buffer, outgoing: &outgoing[..outgoing.len().min(self.capacity)], source_bound }
    }
}

/// Datagrams that are ready to be sent.
pub(crate) struct Loaded<'a> {
    buffer: &'a [u8],
    outgoing: &'a [Outgoing],
    source_bound: bool,
}

impl Loaded<'_> {
    /// How many datagrams there are.
    pub(crate) fn count(&self) -> usize {
        self.outgoing.len()
    }

    /// Sends from datagram `start` on, without waiting. Returns how many were sent before the first that was not. An error is the
    /// error of datagram `start`.
    pub(crate) fn send(&mut self, socket: &Socket, start: usize) -> io::Result<usize> {
        let rest = self.outgoing.get(start..).unwrap_or_default();
        for (sent, datagram) in rest.iter().enumerate() {
            match socket.send(self.buffer, datagram, self.source_bound) {
                Ok(()) => (),
                Err(error) if sent == 0 => return Err(error),
                // It is the first one of the next call, which has the error again or not.
                Err(_) => return Ok(sent),
            }
        }
        Ok(rest.len())
    }
}
