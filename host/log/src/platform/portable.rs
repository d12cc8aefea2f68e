//! Writing by the standard library. It cannot tell when a target that is never waited for has room again: it is tried again a little later.

use std::io::{self, Write};
use std::time::Duration;

use super::Target;

/// How long to wait before the next try.
const PAUSE: Duration = Duration::from_millis(20);

impl<T: Send + 'static> Target for T
where
    for<'a> &'a T: Write,
{
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut target = self;
        let written = Write::write(&mut target, bytes)?;
        // The standard output keeps what has no end of line.
        Write::flush(&mut target)?;
        Ok(written)
    }

    fn wait_for_room(&self, timeout: Duration) {
        std::thread::sleep(timeout.min(PAUSE));
    }
}
