//! A socket that a tokio runtime watches.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::Interest;

use super::socket::Socket;

/// Something with a [`Socket`], watched by the current runtime.
#[derive(Debug)]
pub(crate) struct Watched<T: AsRef<Socket>> {
    owner: T,
    /// Another handle of the same socket, by which the runtime watches it.
    runtime: tokio::net::UdpSocket,
}

impl<T: AsRef<Socket>> Watched<T> {
    /// Registers the socket of `owner`.
    ///
    /// # Errors
    /// If the system refuses another handle, or to watch it.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    pub(crate) fn register(owner: T) -> io::Result<Self> {
        let handle = owner.as_ref().options().try_clone()?;
        handle.set_nonblocking(true)?;
        Ok(Self { runtime: tokio::net::UdpSocket::from_std(handle.into())?, owner })
    }

    /// The owner of the socket.
    pub(crate) fn get(&self) -> &T {
        &self.owner
    }

    /// Waits until `receive`, which receives any number of datagrams, finds any.
    pub(crate) fn poll_receive(
        &self,
        context: &mut Context<'_>,
        _capacity: usize,
        mut receive: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.runtime.poll_recv_ready(context))?;
            // Only a call that finds nothing makes the runtime wait for the next datagram.
            match self.runtime.try_io(Interest::READABLE, || receive(&self.owner)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
                result => return Poll::Ready(result),
            }
        }
    }

    /// Calls `send`, which says whether it has sent all that it has, again whenever the system may have room.
    ///
    /// # Errors
    /// If the runtime is shutting down.
    pub(crate) async fn flush(&self, mut send: impl FnMut(&T) -> bool) -> io::Result<()> {
        if send(&self.owner) {
            return Ok(());
        }
        loop {
            self.runtime.writable().await?;
            let room = || if send(&self.owner) { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) };
            match self.runtime.try_io(Interest::WRITABLE, room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
                result => return result,
            }
        }
    }
}
