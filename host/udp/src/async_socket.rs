//! A [`UdpSocket`] that a tokio runtime watches.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;

use crate::recv_batch::RecvBatch;
use crate::send_batch::{Flushed, SendBatch};
use crate::socket::UdpSocket;

/// A [`UdpSocket`] registered with the current tokio runtime.
#[derive(Debug)]
pub struct AsyncUdpSocket {
    watched: AsyncFd<UdpSocket>,
}

impl AsyncUdpSocket {
    /// Registers `socket`.
    ///
    /// # Errors
    /// If the kernel refuses to watch another descriptor.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    #[allow(unsafe_code)]
    pub fn register(socket: UdpSocket) -> io::Result<Self> {
        // SAFETY: a `UdpSocket` owns its descriptor, always returns the same one, and closes it only when it is dropped,
        // which `AsyncFd` does after it has removed the descriptor from the runtime.
        let watched = unsafe { AsyncFd::register(socket)? };
        Ok(Self { watched })
    }

    /// The address and port that the socket is bound to.
    pub(crate) fn local_address(&self) -> SocketAddr {
        self.watched.get_ref().local_address()
    }

    /// [`UdpSocket::join`].
    pub(crate) fn join(&self, interface: u32) -> io::Result<()> {
        self.watched.get_ref().join(interface)
    }

    /// Waits for datagrams and fills `batch` with them. Returns how many were taken off the socket; 0 if only errors of datagrams
    /// sent earlier were read. Dropping the future loses nothing.
    ///
    /// # Errors
    /// If the socket can no longer be used.
    pub async fn receive(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        poll_fn(|context| self.poll_receive(context, batch)).await
    }

    /// [`AsyncUdpSocket::receive`] for one task that watches several sockets. Only the last task to poll is woken.
    ///
    /// # Errors
    /// If the socket can no longer be used.
    pub fn poll_receive(&self, context: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.watched.poll_read_ready(context))?;
            let Ok(result) = guard.try_io(|watched| watched.get_ref().try_receive(batch)) else {
                // No datagram waited after all.
                continue;
            };
            // A batch that was not filled emptied the socket. The kernel reports the next datagram by a new event, so the call
            // that would only return WouldBlock is saved.
            if matches!(result, Ok(count) if (1..batch.capacity()).contains(&count)) {
                guard.clear_ready();
            }
            return Poll::Ready(result);
        }
    }

    /// [`UdpSocket::receive`]: takes the datagrams that wait now, without asking the runtime.
    pub(crate) fn receive_now(&self, batch: &mut RecvBatch) -> io::Result<Option<usize>> {
        self.watched.get_ref().receive(batch)
    }

    /// [`UdpSocket::send_or_drop`]: sends as much of `batch` as the kernel has room for now, and drops the rest. Returns how many datagrams were
    /// sent.
    pub fn send_or_drop(&self, batch: &mut SendBatch) -> usize {
        self.watched.get_ref().send_or_drop(batch)
    }

    /// Sends as much of `batch` as the kernel has room for now.
    pub(crate) fn send(&self, batch: &mut SendBatch) -> Flushed {
        self.watched.get_ref().send(batch)
    }

    /// Sends all of `batch`; waits while the kernel has no room. Dropping the future leaves the rest in the batch.
    ///
    /// # Errors
    /// If the runtime is shutting down.
    pub async fn flush(&self, batch: &mut SendBatch) -> io::Result<()> {
        poll_fn(|context| self.poll_flush(context, batch)).await
    }

    fn poll_flush(&self, context: &mut Context<'_>, batch: &mut SendBatch) -> Poll<io::Result<()>> {
        while !self.send(batch).is_done() {
            let mut guard = ready!(self.watched.poll_write_ready(context))?;
            // This readiness may be older than the full buffer. A second attempt under the guard either sends, or clears the
            // readiness and asks the kernel for a new event.
            let sent = guard.try_io(|watched| {
                let is_done = watched.get_ref().send(batch).is_done();
                if is_done { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
            });
            if let Ok(result) = sent {
                return Poll::Ready(result);
            }
        }
        Poll::Ready(Ok(()))
    }
}
