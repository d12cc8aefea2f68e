//! Where records are written to, in the way of the system: by descriptors on Unix, elsewhere by what the standard library has. On Unix the
//! feature `portable` of this crate chooses the latter, so that it is tested.

#[cfg(not(all(unix, not(feature = "portable"))))]
mod portable;
#[cfg(all(unix, not(feature = "portable")))]
mod unix;

use std::io;
use std::time::Duration;

/// What records are written to: a file, a pipe or a terminal.
pub(crate) trait Target: Send + 'static {
    /// Writes the beginning of `bytes`, and returns how many bytes those were.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room now, and those of the system.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Waits until there may be room, so long at most.
    fn wait_for_room(&self, timeout: Duration);
}
