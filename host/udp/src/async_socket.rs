//! A [`UdpSocket`] that a tokio runtime watches.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use crate::platform::Watched;
use crate::recv_batch::RecvBatch;
use crate::send_batch::SendBatch;
use crate::send_queue::{Flushed, SendQueue};
use crate::socket::UdpSocket;

/// A [`UdpSocket`] registered with the current tokio runtime.
#[derive(Debug)]
pub struct AsyncUdpSocket {
    watched: Watched<UdpSocket>,
}

impl AsyncUdpSocket {
    /// Registers `socket`.
    ///
    /// # Errors
    /// If the kernel refuses to watch another descriptor.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    pub fn register(socket: UdpSocket) -> io::Result<Self> {
        Ok(Self { watched: Watched::register(socket)? })
    }

    /// The address and port that the socket is bound to.
    pub(crate) fn local_address(&self) -> SocketAddr {
        self.watched.get().local_address()
    }

    /// [`UdpSocket::join`].
    pub(crate) fn join(&self, interface: u32) -> io::Result<()> {
        self.watched.get().join(interface)
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
        self.watched.poll_receive(context, batch.capacity(), |socket| socket.try_receive(batch))
    }

    /// [`UdpSocket::receive`]: takes the datagrams that wait now, without asking the runtime.
    pub(crate) fn receive_now(&self, batch: &mut RecvBatch) -> io::Result<Option<usize>> {
        self.watched.get().receive(batch)
    }

    /// [`UdpSocket::send_or_drop`]: sends as much of `batch` as the kernel has room for now, and drops the rest. Returns how many datagrams were
    /// sent.
    pub fn send_or_drop(&self, batch: &mut SendBatch) -> usize {
        self.watched.get().send_or_drop(batch)
    }

    /// Sends as much of `batch` as the kernel has room for now.
    #[cfg(test)]
    pub(crate) fn send_now(&self, batch: &mut SendBatch) -> Flushed {
        self.watched.get().send(batch)
    }

    /// Sends all of `batch`; waits while the kernel has no room. Dropping the future leaves the rest in the batch.
    ///
    /// # Errors
    /// If the runtime is shutting down.
    pub async fn flush(&self, batch: &mut SendBatch) -> io::Result<()> {
        self.flush_by(|socket| socket.send(batch)).await
    }

    /// Sends as much of `queue` as the kernel has room for now. The bytes of its datagrams are in `buffer`.
    pub(crate) fn send_queue(&self, queue: &mut SendQueue, buffer: &[u8]) -> Flushed {
        self.watched.get().send_queue(queue, buffer)
    }

    /// [`AsyncUdpSocket::flush`] for a queue whose datagrams are in `buffer`.
    pub(crate) async fn flush_queue(&self, queue: &mut SendQueue, buffer: &[u8]) -> io::Result<()> {
        self.flush_by(|socket| socket.send_queue(queue, buffer)).await
    }

    async fn flush_by(&self, mut send: impl FnMut(&UdpSocket) -> Flushed) -> io::Result<()> {
        self.watched.flush(|socket| send(socket).is_done()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::BufferSizes;

    #[tokio::test]
    async fn a_kernel_without_room_is_waited_for() {
        let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), BufferSizes::default()).unwrap();
        let socket = AsyncUdpSocket::register(socket).unwrap();
        let mut left = [3, 0].into_iter();
        socket.flush_by(|_| Flushed { sent: 0, left: left.next().unwrap() }).await.unwrap();
        assert_eq!(left.next(), None, "it was tried again");
    }
}
