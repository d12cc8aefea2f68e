//! A [`UdpSocket`] that a tokio runtime watches.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;

use super::recv_batch::RecvBatch;
use super::send_batch::{Flush, SendBatch};
use super::socket::UdpSocket;

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
        // which `AsyncFd` does after it has taken the descriptor off the runtime.
        let watched = unsafe { AsyncFd::register(socket)? };
        Ok(Self { watched })
    }

    /// The address and port it is bound to.
    pub fn local_address(&self) -> SocketAddr {
        self.watched.get_ref().local_address()
    }

    /// Fills `batch` once datagrams wait; returns as [`UdpSocket::receive`] does. Dropping the future loses nothing.
    ///
    /// # Errors
    /// If the socket is of no use any more.
    pub async fn receive(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        poll_fn(|context| self.poll_receive(context, batch)).await
    }

    /// [`AsyncUdpSocket::receive`] for one task that watches several sockets. Only the last task to poll is woken.
    pub fn poll_receive(&self, context: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.watched.poll_read_ready(context))?;
            let Ok(result) = guard.try_io(|watched| watched.get_ref().receive(batch)) else {
                // Nothing waited after all.
                continue;
            };
            // A batch that was not filled emptied the socket; the kernel tells of the next datagram by a new event, so
            // the call that would only say WouldBlock can be saved.
            if matches!(result, Ok(count) if (1..batch.capacity()).contains(&count)) {
                guard.clear_ready();
            }
            return Poll::Ready(result);
        }
    }

    /// Fills `batch` with what waits now, without asking the runtime; returns as [`UdpSocket::receive`] does.
    ///
    /// # Errors
    /// `WouldBlock` if nothing waits. Any other error says that the socket is of no use any more.
    pub fn receive_now(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        self.watched.get_ref().receive(batch)
    }

    /// Sends what `batch` holds as far as the kernel takes it now.
    pub fn send(&self, batch: &mut SendBatch) -> Flush {
        self.watched.get_ref().send(batch)
    }

    /// Sends all that `batch` holds, waiting for room. Dropping the future leaves the rest in the batch.
    ///
    /// # Errors
    /// If the runtime is shutting down.
    pub async fn flush(&self, batch: &mut SendBatch) -> io::Result<()> {
        poll_fn(|context| self.poll_flush(context, batch)).await
    }

    /// [`AsyncUdpSocket::flush`] for one task that watches several sockets. Only the last task to poll is woken.
    pub fn poll_flush(&self, context: &mut Context<'_>, batch: &mut SendBatch) -> Poll<io::Result<()>> {
        while self.send(batch) == Flush::Blocked {
            let mut guard = ready!(self.watched.poll_write_ready(context))?;
            // That readiness may be older than the full buffer just met. Trying again under the guard either sends or
            // clears it and asks the kernel for news.
            let sent = guard.try_io(|watched| match watched.get_ref().send(batch) {
                Flush::Done => Ok(()),
                Flush::Blocked => Err(io::ErrorKind::WouldBlock.into()),
            });
            if let Ok(result) = sent {
                return Poll::Ready(result);
            }
        }
        Poll::Ready(Ok(()))
    }
}
