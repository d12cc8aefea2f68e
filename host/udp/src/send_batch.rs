//! Many datagrams into one system call.

use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use super::local::LocalAddress;
use super::syscall::{Messages, Outgoing};

/// Interrupted calls in a row after which a flush waits as if the socket were full.
const MAX_INTERRUPTIONS: usize = 16;

/// Datagrams queued for one socket in preallocated memory, sent together by one `sendmmsg`.
///
/// A datagram that the kernel refuses is skipped and counted; it does not hold up those behind it. When the kernel has
/// no room the rest stays queued, up to the capacity that the batch was made with.
pub struct SendBatch {
    buffer: Box<[u8]>,
    filled: usize,
    queue: Vec<Queued>,
    messages: Messages,
    counters: SendCounters,
    last_error: Option<io::Error>,
}

struct Queued {
    to: SocketAddr,
    local: LocalAddress,
    start: usize,
    len: usize,
}

/// What went through a [`SendBatch`] since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendCounters {
    /// Datagrams the kernel took.
    pub sent: u64,
    /// Datagrams the kernel refused: no route, forbidden by the firewall, too long, no such local address any more.
    pub failed: u64,
    /// Datagrams dropped here: the batch was full, or was discarded.
    pub dropped: u64,
    /// Flushes that ended because the kernel had no room.
    pub blocked: u64,
}

/// How a flush ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// The batch is empty.
    Done,
    /// The kernel has no room: the rest waits for the socket to become writable.
    Blocked,
}

/// A [`SendBatch`] has no room for another datagram until it is flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the batch of datagrams to send is full")]
pub struct Full;

impl SendBatch {
    /// Room for `datagrams` datagrams, between 1 and 1024, of `bytes` bytes in sum.
    pub fn new(datagrams: usize, bytes: usize) -> Self {
        let messages = Messages::new(datagrams);
        Self {
            buffer: vec![0; bytes].into(),
            filled: 0,
            queue: Vec::with_capacity(messages.capacity()),
            messages,
            counters: SendCounters::default(),
            last_error: None,
        }
    }

    /// Queues a copy of `bytes`. Without room it is dropped and counted.
    ///
    /// # Errors
    /// [`Full`] if it was dropped.
    pub fn push(&mut self, to: SocketAddr, local: LocalAddress, bytes: &[u8]) -> Result<(), Full> {
        let pushed = self.fill(bytes.len(), |room| {
            room.copy_from_slice(bytes);
            Some((to, local, bytes.len()))
        });
        if pushed.is_err() {
            self.counters.dropped += 1;
        }
        pushed.map(drop)
    }

    /// Lets `write` put a datagram of at most `max_len` bytes straight into the batch. It returns where to and where
    /// from it goes and its length, or `None` if there is nothing to send.
    ///
    /// Returns whether a datagram was queued. A length beyond `max_len` is counted as dropped.
    ///
    /// # Errors
    /// [`Full`] if there is no room for `max_len` bytes; `write` was not called and nothing is lost.
    pub fn fill<F>(&mut self, max_len: usize, write: F) -> Result<bool, Full>
    where
        F: FnOnce(&mut [u8]) -> Option<(SocketAddr, LocalAddress, usize)>,
    {
        if self.queue.len() >= self.messages.capacity() {
            return Err(Full);
        }
        let start = self.filled;
        let room = self.buffer.get_mut(start..).and_then(|free| free.get_mut(..max_len)).ok_or(Full)?;
        let Some((to, local, len)) = write(room) else {
            return Ok(false);
        };
        if len > max_len {
            self.counters.dropped += 1;
            return Ok(false);
        }
        self.filled += len;
        self.queue.push(Queued { to, local, start, len });
        Ok(true)
    }

    /// How many datagrams are queued.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Drops and counts all that is queued; returns how many datagrams that was.
    pub fn discard(&mut self) -> usize {
        let dropped = self.queue.len();
        self.counters.dropped += dropped as u64;
        self.queue.clear();
        self.filled = 0;
        dropped
    }

    /// The counters.
    pub fn counters(&self) -> SendCounters {
        self.counters
    }

    /// The error of the last refused datagram, once: for a log line.
    pub fn take_last_error(&mut self) -> Option<io::Error> {
        self.last_error.take()
    }

    /// Sends what is queued. `source_bound` says that the socket is bound to one address and needs no telling.
    pub(super) fn flush(&mut self, socket: BorrowedFd<'_>, source_bound: bool) -> Flush {
        if self.queue.is_empty() {
            return Flush::Done;
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

    fn settle(&mut self, progress: Progress) -> Flush {
        self.counters.sent += progress.sent as u64;
        self.counters.failed += progress.failed as u64;
        self.last_error = progress.last_error.or(self.last_error.take());
        self.queue.drain(..(progress.sent + progress.failed).min(self.queue.len()));
        // What is left moves to the front, so that the room behind it is all the free room there is.
        let moved = self.queue.first().map_or(self.filled, |first| first.start);
        self.buffer.copy_within(moved..self.filled, 0);
        self.filled -= moved;
        for queued in &mut self.queue {
            queued.start -= moved;
        }
        if self.queue.is_empty() {
            return Flush::Done;
        }
        self.counters.blocked += 1;
        Flush::Blocked
    }
}

#[derive(Debug, Default)]
struct Progress {
    sent: usize,
    failed: usize,
    last_error: Option<io::Error>,
}

/// Sends datagrams `0..count` by calls of `send`, which sends from a given one on and says how many it sent or what is
/// wrong with the first. Ends when all are through or the kernel has no room.
fn send_all(count: usize, mut send: impl FnMut(usize) -> io::Result<usize>) -> Progress {
    let mut progress = Progress::default();
    let mut interruptions = 0;
    // Every turn but an interrupted one settles at least one datagram or ends the loop.
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
                progress.last_error = Some(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

    /// Stands for a kernel: takes the answers from a list and notes where each call began.
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
        assert_eq!(batch.settle(Progress { sent: 2, failed: 1, last_error: None }), Flush::Blocked);
        batch.push(TO, LocalAddress::ANY, b"123456").unwrap();
        assert_eq!(batch.push(TO, LocalAddress::ANY, b"7"), Err(Full));
        let queued: Vec<_> = batch.queue.iter().map(|q| &batch.buffer[q.start..q.start + q.len]).collect();
        assert_eq!(queued, [&b"gh"[..], b"123456"]);
        assert_eq!(batch.settle(Progress { sent: 2, failed: 0, last_error: None }), Flush::Done);
        assert_eq!(batch.filled, 0);
        assert_eq!(batch.counters(), SendCounters { sent: 4, failed: 1, dropped: 2, blocked: 1 });
    }

    #[test]
    fn filling_in_place_takes_only_what_was_written() {
        let mut batch = SendBatch::new(4, 16);
        let filled = batch.fill(10, |room| {
            room[..3].copy_from_slice(b"abc");
            Some((TO, LocalAddress::ANY, 3))
        });
        assert_eq!(filled, Ok(true));
        assert_eq!(batch.fill(10, |_| None), Ok(false));
        assert_eq!(batch.fill(10, |_| Some((TO, LocalAddress::ANY, 11))), Ok(false));
        assert_eq!(batch.fill(14, |_| unreachable!("there is no room")), Err(Full));
        assert_eq!((batch.len(), batch.filled, batch.counters().dropped), (1, 3, 1));
        assert_eq!(batch.discard(), 1);
        assert!(batch.is_empty());
        assert_eq!(batch.counters().dropped, 2);
    }
}
