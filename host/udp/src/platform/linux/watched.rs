//! A socket that a tokio runtime watches.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::task::{Context, Poll, ready};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::socket::Socket;

/// Something with a [`Socket`], registered with the current runtime.
#[derive(Debug)]
pub(crate) struct Watched<T: AsRef<Socket>>(AsyncFd<Registered<T>>);

#[derive(Debug)]
struct Registered<T>(T);

impl<T: AsRef<Socket>> AsRawFd for Registered<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_ref().as_fd().as_raw_fd()
    }
}

impl<T: AsRef<Socket>> Watched<T> {
    /// Registers the socket of `owner`.
    ///
    /// # Errors
    /// If the kernel refuses to watch another descriptor.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    pub(crate) fn register(owner: T) -> io::Result<Self> {
        // For reading alone: the kernel would wake the thread for each datagram that has left, too.
        Ok(Self(watch(Registered(owner), Interest::READABLE)?))
    }

    /// The owner of the socket.
    pub(crate) fn get(&self) -> &T {
        &self.0.get_ref().0
    }

    /// Waits until `receive`, which may receive so many datagrams as `capacity` says, finds any.
    pub(crate) fn poll_receive(
        &self,
        context: &mut Context<'_>,
        capacity: usize,
        mut receive: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(context))?;
            let Ok(result) = guard.try_io(|watched| receive(&watched.get_ref().0)) else {
                // No datagram waited after all.
                continue;
            };
            // A batch that was not filled emptied the socket. The kernel reports the next datagram by a new event, so the call
            // that would only return WouldBlock is saved.
            if matches!(result, Ok(count) if (1..capacity).contains(&count)) {
                guard.clear_ready();
            }
            return Poll::Ready(result);
        }
    }

    /// Calls `send`, which says whether it has sent all that it has, again whenever the kernel may have room.
    ///
    /// # Errors
    /// If the runtime is shutting down.
    pub(crate) async fn flush(&self, mut send: impl FnMut(&T) -> bool) -> io::Result<()> {
        if send(self.get()) {
            return Ok(());
        }
        let writable = watch(self.get().as_ref().as_fd().try_clone_to_owned()?, Interest::WRITABLE)?;
        loop {
            let mut guard = writable.writable().await?;
            if send(self.get()) {
                return Ok(());
            }
            // The kernel tells again when there is room.
            guard.clear_ready();
        }
    }
}

/// Registers a descriptor with the current runtime. Another one for the same socket may be registered as well.
#[allow(unsafe_code)]
fn watch<D: AsRawFd>(descriptor: D, interest: Interest) -> io::Result<AsyncFd<D>> {
    // SAFETY: what owns a `Socket`, which is never exchanged for another one, and an `OwnedFd` always return the same descriptor, and close it
    // only when they are dropped, which `AsyncFd` does after it has removed the descriptor from the runtime.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, interest)? })
}
