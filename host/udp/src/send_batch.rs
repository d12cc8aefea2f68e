//! Many datagrams into one system call.

use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use crate::local::LocalAddress;
use crate::syscall::{Messages, Outgoing};

/// The most interrupted calls in a row before a flush returns as if the kernel had no room.
const MAX_INTERRUPTIONS: usize = 16;

/// Datagrams queued for one socket in preallocated memory, which one `sendmmsg` sends.
///
/// A datagram that the kernel refuses is skipped: it does not hold up those behind it. If the kernel has no room, the rest stays
/// queued.
pub struct SendBatch {
    buffer: Box<[u8]>,
    filled: usize,
    queue: Vec<Queued>,
    messages: Messages,
    last_error: Option<io::Error>,
    too_long: u64,
}

struct Queued {
    to: SocketAddr,
    local: LocalAddress,
    start: usize,
    len: usize,
}

/// What one call that sends a [`SendBatch`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flushed {
    /// How many datagrams the kernel took.
    pub(super) sent: usize,
    /// How many datagrams are still queued, because the kernel has no room.
    pub(super) left: usize,
}

impl Flushed {
    pub(super) fn is_done(self) -> bool {
        self.left == 0
    }
}

/// A [`SendBatch`] has no room for another datagram until it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the batch of datagrams to send is full")]
pub struct Full;

impl SendBatch {
    /// Memory for `datagrams` datagrams, between 1 and 1024, of `bytes` bytes in sum.
    pub fn new(datagrams: usize, bytes: usize) -> Self {
        let messages = Messages::new(datagrams);
        Self {
            buffer: vec![0; bytes].into(),
            filled: 0,
            queue: Vec::with_capacity(messages.capacity()),
            messages,
            last_error: None,
            too_long: 0,
        }
    }

    /// Queues a copy of `bytes`, to be sent from `local` to `to`.
    ///
    /// # Errors
    /// [`Full`] if there is no room.
    pub fn push(&mut self, to: SocketAddr, local: LocalAddress, bytes: &[u8]) -> Result<(), Full> {
        if self.queue.len() >= self.messages.capacity() {
            return Err(Full);
        }
        let (start, len) = (self.filled, bytes.len());
        let room = self.buffer.get_mut(start..).and_then(|free| free.get_mut(..len)).ok_or(Full)?;
        room.copy_from_slice(bytes);
        self.filled += len;
        self.queue.push(Queued { to, local, start, len });
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

    /// Drops all datagrams that are queued. Returns how many there were.
    pub(super) fn discard(&mut self) -> usize {
        let dropped = self.queue.len();
        self.queue.clear();
        self.filled = 0;
        dropped
    }

    /// Why the kernel refused the last datagram that it refused: no route, forbidden by the firewall, too long, no such local
    /// address any more. Each error is returned once.
    pub(super) fn take_last_error(&mut self) -> Option<io::Error> {
        self.last_error.take()
    }

    /// How many datagrams the kernel has refused because the interface carries none as long.
    pub(super) fn too_long(&self) -> u64 {
        self.too_long
    }

    /// Sends what is queued. With `source_bound` the socket is bound to one address, so that datagrams need not name their source.
    pub(super) fn flush(&mut self, socket: BorrowedFd<'_>, source_bound: bool) -> Flushed {
        if self.queue.is_empty() {
            return Flushed { sent: 0, left: 0 };
        }
        let outgoing = self.queue.iter().map(|queued| Outgoing {
            to: queued.to,
            local: if source_bound { LocalAddress::ANY } else { queued.local },
            bytes: queued.start..queued.start + queued.len,
        });
        let mut loaded = self.messages.load(&self.buffer, outgoing);
        let progress = send_all(loaded.count(), |start| loaded.send(socket, start));
        self.settle(progress)
    }

    fn settle(&mut self, progress: Progress) -> Flushed {
        let Progress { sent, failed, too_long, last_error } = progress;
        self.too_long += too_long;
        self.last_error = last_error.or(self.last_error.take());
        self.queue.drain(..(sent + failed).min(self.queue.len()));
        // What is left moves to the front, so that all free room is behind it.
        let moved = self.queue.first().map_or(self.filled, |first| first.start);
        self.buffer.copy_within(moved..self.filled, 0);
        self.filled -= moved;
        for queued in &mut self.queue {
            queued.start -= moved;
        }
        Flushed { sent, left: self.queue.len() }
    }
}

#[derive(Debug, Default)]
struct Progress {
    sent: usize,
    failed: usize,
    /// How many of `failed` are longer than what the interface carries.
    too_long: u64,
    last_error: Option<io::Error>,
}

/// Sends the datagrams `0..count` by calls of `send`, which sends from a given datagram on and returns how many it sent, or the
/// error of the first one. Ends when all are sent or refused, or when the kernel has no room.
fn send_all(count: usize, mut send: impl FnMut(usize) -> io::Result<usize>) -> Progress {
    let mut progress = Progress::default();
    let mut interruptions = 0;
    // Each turn sends or skips at least one datagram or ends the loop, except the interrupted ones.
    loop {
        let next = progress.sent + progress.failed;
        if next >= count {
            return progress;
        }
        match send(next) {
            Ok(0) => return progress,
            Ok(sent) => progress.sent += sent.min(count - next),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return progress,
            Err(error) if error.kind() == io::ErrorKind::Interrupted && interruptions < MAX_INTERRUPTIONS => {
                interruptions += 1;
            }
            Err(error) => {
                progress.failed += 1;
                progress.too_long += u64::from(error.raw_os_error() == Some(libc::EMSGSIZE));
                progress.last_error = Some(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

    /// Sends to a kernel that answers from a list. Returns the progress, and the datagram from which each call sent on.
    fn scripted(count: usize, answers: &[Result<usize, i32>]) -> (Progress, Vec<usize>) {
        let mut starts = Vec::new();
        let mut answers = answers.iter();
        let progress = send_all(count, |start| {
            starts.push(start);
            (*answers.next().unwrap()).map_err(io::Error::from_raw_os_error)
        });
        assert_eq!(answers.next(), None);
        (progress, starts)
    }

    #[test]
    fn each_refused_datagram_is_skipped_alone() {
        for errno in [
            libc::EPERM,
            libc::ENETUNREACH,
            libc::EHOSTUNREACH,
            libc::EMSGSIZE,
            libc::ECONNREFUSED,
            libc::EINVAL,
            libc::ENOBUFS,
        ] {
            let (progress, starts) = scripted(6, &[Ok(2), Err(errno), Err(errno), Ok(2)]);
            assert_eq!((progress.sent, progress.failed), (4, 2));
            assert_eq!(progress.too_long, if errno == libc::EMSGSIZE { 2 } else { 0 });
            assert_eq!(starts, [0, 2, 3, 4]);
            assert_eq!(progress.last_error.unwrap().raw_os_error(), Some(errno));
        }
    }

    #[test]
    fn a_full_kernel_ends_the_flush() {
        let (progress, _) = scripted(6, &[Ok(2), Err(libc::EPERM), Err(libc::EAGAIN)]);
        assert_eq!((progress.sent, progress.failed), (2, 1));
    }

    #[test]
    fn interruptions_lose_nothing_and_end() {
        let (progress, starts) = scripted(2, &[Err(libc::EINTR), Ok(1), Err(libc::EINTR), Ok(1)]);
        assert_eq!((progress.sent, progress.failed), (2, 0));
        assert_eq!(starts, [0, 0, 1, 1]);
        let mut calls = 0;
        send_all(1, |_| {
            calls += 1;
            Err(io::ErrorKind::Interrupted.into())
        });
        assert_eq!(calls, MAX_INTERRUPTIONS + 1);
    }

    #[test]
    fn what_is_left_keeps_its_bytes_and_frees_room() {
        let mut batch = SendBatch::new(4, 8);
        for bytes in [b"ab", b"cd", b"ef", b"gh"] {
            batch.push(TO, LocalAddress::ANY, bytes).unwrap();
        }
        assert_eq!(batch.push(TO, LocalAddress::ANY, b""), Err(Full));
        assert_eq!(batch.settle(Progress { sent: 2, failed: 1, ..Progress::default() }), Flushed { sent: 2, left: 1 });
        batch.push(TO, LocalAddress::ANY, b"123456").unwrap();
        assert_eq!(batch.push(TO, LocalAddress::ANY, b"7"), Err(Full));
        let queued: Vec<_> = batch.queue.iter().map(|q| &batch.buffer[q.start..q.start + q.len]).collect();
        assert_eq!(queued, [&b"gh"[..], b"123456"]);
        assert_eq!(batch.settle(Progress { sent: 2, ..Progress::default() }), Flushed { sent: 2, left: 0 });
        assert_eq!(batch.filled, 0);
    }

    #[test]
    fn a_discarded_batch_is_empty() {
        let mut batch = SendBatch::new(4, 8);
        batch.push(TO, LocalAddress::ANY, b"abc").unwrap();
        assert_eq!(batch.discard(), 1);
        assert!(batch.is_empty());
        batch.push(TO, LocalAddress::ANY, b"12345678").unwrap();
    }

    #[test]
    fn no_more_counts_as_sent_than_there_was() {
        let (progress, starts) = scripted(3, &[Ok(1), Ok(10)]);
        assert_eq!((progress.sent, progress.failed, starts), (3, 0, vec![0, 1]));
    }
}
