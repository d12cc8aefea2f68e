//! A process that is told to stop while another one prepares to take over gives the takeover up, whatever it waits for.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// Whether this process is told to stop.
#[derive(Default)]
pub(super) struct Ending {
    is_set: AtomicBool,
    /// The socket to the other process, while the takeover can be given up.
    open: Mutex<Option<UnixStream>>,
}

impl Ending {
    /// This process is told to stop: if a takeover is under way that can be given up, nobody waits for the other process any longer.
    pub(super) fn set(&self) {
        let mut open = self.open.lock();
        self.is_set.store(true, Ordering::Release);
        if let Some(stream) = open.take() {
            // Whoever reads from it or writes to it is woken.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    /// A takeover begins by this socket. It can be given up until what this returns is dropped.
    ///
    /// # Errors
    /// If the system gives no descriptor.
    pub(super) fn watch(&self, stream: &UnixStream) -> io::Result<Watch<'_>> {
        let stream = stream.try_clone()?;
        let mut open = self.open.lock();
        if self.is_set() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        *open = Some(stream);
        Ok(Watch(self))
    }
}

/// A takeover that can be given up.
pub(super) struct Watch<'a>(&'a Ending);

impl Watch<'_> {
    /// The takeover cannot be given up from now on. False if it is given up already.
    #[must_use]
    pub(super) fn commit(self) -> bool {
        let mut open = self.0.open.lock();
        *open = None;
        // The lock is held: it is not set at this moment.
        !self.0.is_set()
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        // The other process sees the end of the connection when no descriptor is left.
        *self.0.open.lock() = None;
    }
}
