//! Many datagrams into one system call.

use std::net::SocketAddr;

use crate::local::LocalAddress;
use crate::platform::Socket;
use crate::send_queue::{Flushed, SendQueue};

/// Datagrams queued for one socket in preallocated memory, which one call sends.
///
/// A datagram that the kernel refuses is skipped: it does not hold up those behind it. If the kernel has no room, the rest stays
/// queued.
pub struct SendBatch {
    buffer: Box<[u8]>,
    filled: usize,
    queue: SendQueue,
}

/// A [`SendBatch`] has no room for another datagram until it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the batch of datagrams to send is full")]
pub struct Full;

impl SendBatch {
    /// Memory for `datagrams` datagrams, between 1 and 1024, of `bytes` bytes in sum.
    pub fn new(datagrams: usize, bytes: usize) -> Self {
        Self { buffer: vec![0; bytes].into(), filled: 0, queue: SendQueue::new(datagrams) }
    }

    /// Queues a copy of `bytes`, to be sent from `local` to `to`.
    ///
    /// # Errors
    /// [`Full`] if there is no room.
    pub fn push(&mut self, to: SocketAddr, local: LocalAddress, bytes: &[u8]) -> Result<(), Full> {
        if self.queue.is_full() {
            return Err(Full);
        }
        let start = self.filled;
        let room = self.buffer.get_mut(start..).and_then(|free| free.get_mut(..bytes.len())).ok_or(Full)?;
        room.copy_from_slice(bytes);
        self.filled += bytes.len();
        self.queue.push(to, local, start..self.filled);
        Ok(())
    }

    /// How many datagrams are queued.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none is queued.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Drops all datagrams that are queued.
    pub(super) fn discard(&mut self) {
        self.queue.discard();
        self.filled = 0;
    }

    /// [`SendQueue::take_last_error`].
    #[cfg(test)]
    pub(super) fn take_last_error(&mut self) -> Option<std::io::Error> {
        self.queue.take_last_error()
    }

    /// Sends what is queued. With `source_bound` the socket is bound to one address, so that datagrams need not name their source.
    pub(super) fn flush(&mut self, socket: &Socket, source_bound: bool) -> Flushed {
        let flushed = self.queue.flush(&self.buffer, socket, source_bound);
        self.compact();
        flushed
    }

    /// Moves what is left to the front, so that all free room is behind it.
    fn compact(&mut self) {
        let moved = self.queue.start().unwrap_or(self.filled);
        if moved > 0 {
            self.buffer.copy_within(moved..self.filled, 0);
            self.filled -= moved;
            self.queue.moved(moved);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send_queue::Progress;

    const TO: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

    impl SendBatch {
        fn settle(&mut self, sent: usize, failed: usize) -> Flushed {
            let flushed = self.queue.settle(Progress { sent, failed, ..Progress::default() });
            self.compact();
            flushed
        }
    }

    #[test]
    fn what_is_left_keeps_its_bytes_and_frees_room() {
        let mut batch = SendBatch::new(4, 8);
        for bytes in [b"ab", b"cd", b"ef", b"gh"] {
            batch.push(TO, LocalAddress::ANY, bytes).unwrap();
        }
        assert_eq!(batch.push(TO, LocalAddress::ANY, b""), Err(Full));
        assert_eq!(batch.settle(2, 1), Flushed { sent: 2, left: 1 });
        batch.push(TO, LocalAddress::ANY, b"123456").unwrap();
        assert_eq!(batch.push(TO, LocalAddress::ANY, b"7"), Err(Full));
        let queued: Vec<_> = batch.queue.ranges().map(|bytes| &batch.buffer[bytes]).collect();
        assert_eq!(queued, [&b"gh"[..], b"123456"]);
        assert_eq!(batch.settle(2, 0), Flushed { sent: 2, left: 0 });
        assert_eq!(batch.filled, 0);
    }

    #[test]
    fn a_discarded_batch_is_empty() {
        let mut batch = SendBatch::new(4, 8);
        batch.push(TO, LocalAddress::ANY, b"abc").unwrap();
        batch.discard();
        assert!(batch.is_empty());
        batch.push(TO, LocalAddress::ANY, b"12345678").unwrap();
    }
}
