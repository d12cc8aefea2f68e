//! The datagrams that one system call sends from one socket.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;

use crate::datagram::Outgoing;
use crate::local::LocalAddress;
use crate::platform::{Messages, Socket, is_too_long};

/// The most interrupted calls in a row before a flush returns as if the kernel had no room.
const MAX_INTERRUPTIONS: usize = 16;

/// Datagrams that wait for one socket. Their bytes lie in memory of the owner's, which may have those of several queues.
///
/// A datagram that the kernel refuses is skipped: it does not hold up those behind it. If the kernel has no room, the rest stays
/// queued.
pub(super) struct SendQueue {
    queue: Vec<Outgoing>,
    messages: Messages,
    last_error: Option<io::Error>,
    too_long: u64,
}

/// What one call that sends a queue did.
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

impl SendQueue {
    /// Room for `datagrams` datagrams, between 1 and 1024.
    pub(super) fn new(datagrams: usize) -> Self {
        let messages = Messages::new(datagrams);
        Self { queue: Vec::with_capacity(messages.capacity()), messages, last_error: None, too_long: 0 }
    }

    /// Queues the datagram whose bytes lie at `bytes`, to be sent from `local` to `to`. The queue must not be [full](Self::is_full).
    pub(super) fn push(&mut self, to: SocketAddr, local: LocalAddress, bytes: Range<usize>) {
        debug_assert!(!self.is_full());
        self.queue.push(Outgoing { to, local, bytes });
    }

    /// How many datagrams are queued.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none is queued.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether there is no room for another datagram until some are sent.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= self.messages.capacity()
    }

    /// Drops all datagrams that are queued. Returns how many there were.
    pub(super) fn discard(&mut self) -> usize {
        let dropped = self.queue.len();
        self.queue.clear();
        dropped
    }

    /// Where the bytes of each datagram lie.
    #[cfg(test)]
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        self.queue.iter().map(|outgoing| outgoing.bytes.clone())
    }

    /// Where the bytes of the first datagram begin.
    pub(super) fn start(&self) -> Option<usize> {
        self.queue.first().map(|first| first.bytes.start)
    }

    /// The bytes of the datagrams have moved towards the front by that many.
    pub(super) fn moved(&mut self, by: usize) {
        for Outgoing { bytes, .. } in &mut self.queue {
            *bytes = bytes.start - by..bytes.end - by;
        }
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

    /// Sends what is queued, whose bytes are in `buffer`. With `source_bound` the socket is bound to one address, so that datagrams need
    /// not name their source.
    pub(super) fn flush(&mut self, buffer: &[u8], socket: &Socket, source_bound: bool) -> Flushed {
        if self.queue.is_empty() {
            return Flushed { sent: 0, left: 0 };
        }
        let mut loaded = self.messages.load(buffer, &self.queue, source_bound);
        let progress = send_all(loaded.count(), |start| loaded.send(socket, start));
        self.settle(progress)
    }

    pub(super) fn settle(&mut self, progress: Progress) -> Flushed {
        let Progress { sent, failed, too_long, last_error } = progress;
        self.too_long += too_long;
        self.last_error = last_error.or(self.last_error.take());
        self.queue.drain(..(sent + failed).min(self.queue.len()));
        Flushed { sent, left: self.queue.len() }
    }
}

#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) sent: usize,
    pub(super) failed: usize,
    /// How many of `failed` are longer than what the interface carries.
    pub(super) too_long: u64,
    pub(super) last_error: Option<io::Error>,
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
                progress.too_long += u64::from(is_too_long(&error));
                progress.last_error = Some(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn no_more_counts_as_sent_than_there_was() {
        let (progress, starts) = scripted(3, &[Ok(1), Ok(10)]);
        assert_eq!((progress.sent, progress.failed, starts), (3, 0, vec![0, 1]));
    }
}
