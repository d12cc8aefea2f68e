//! Many datagrams from one system call.

use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use super::local::LocalAddress;
use super::syscall::Messages;

/// The longest datagram received whole, in bytes. RTMFP packets fit the path MTU; a longer one is no RTMFP.
pub const MAX_DATAGRAM: usize = 2048;

/// Errors in a row after which [`RecvBatch`] lets its caller do something else.
const MAX_ERRORS: usize = 16;

/// Preallocated room for the datagrams of one `recvmmsg`.
pub struct RecvBatch {
    buffer: Box<[u8]>,
    messages: Messages,
    count: usize,
    bound: Option<LocalAddress>,
    counters: RecvCounters,
}

/// What went through a [`RecvBatch`] since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecvCounters {
    /// Datagrams taken from sockets, the truncated ones included.
    pub datagrams: u64,
    /// Datagrams dropped because they were longer than [`MAX_DATAGRAM`].
    pub truncated: u64,
    /// Errors that sockets reported in place of a datagram, such as the ICMP answer to something sent earlier.
    pub errors: u64,
}

/// A received datagram.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// The address on this host it was sent to.
    pub local: LocalAddress,
    /// Its payload, which may be decrypted in place.
    pub bytes: &'a mut [u8],
}

impl RecvBatch {
    /// Room for `datagrams` datagrams of [`MAX_DATAGRAM`] bytes; between 1 and 1024.
    pub fn new(datagrams: usize) -> Self {
        let messages = Messages::new(datagrams);
        let buffer = vec![0; messages.capacity() * MAX_DATAGRAM].into();
        Self { buffer, messages, count: 0, bound: None, counters: RecvCounters::default() }
    }

    /// How many datagrams one system call may bring.
    pub fn capacity(&self) -> usize {
        self.messages.capacity()
    }

    /// The counters.
    pub fn counters(&self) -> RecvCounters {
        self.counters
    }

    /// Replaces the batch's content with what waits on `socket`, which is bound to the address `bound` or else tells of
    /// each datagram where it came to.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>, bound: Option<LocalAddress>) -> io::Result<usize> {
        self.count = 0;
        self.bound = bound;
        for _ in 0..MAX_ERRORS {
            match self.messages.receive(socket, &mut self.buffer, MAX_DATAGRAM) {
                Ok(count) => {
                    self.count = count;
                    self.counters.datagrams += count as u64;
                    let truncated = self.messages.received(count).filter(|received| received.truncated).count();
                    self.counters.truncated += truncated as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock || breaks_socket(&error) => return Err(error),
                // It belongs to a datagram sent earlier, or is over by the next call.
                Err(_) => self.counters.errors += 1,
            }
        }
        Ok(0)
    }

    /// The datagrams of the last receive, without the truncated ones.
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

/// Errors that say that the socket or the call is wrong, so that calling again cannot help.
fn breaks_socket(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBADF | libc::ENOTSOCK | libc::EINVAL | libc::EFAULT | libc::ENOSYS))
}
