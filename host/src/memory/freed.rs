//! Gives memory back to the system that many clients have left behind.

use std::time::{Duration, Instant};

use super::change;

/// How long after many clients have come or gone the memory is given back: all that their sessions leave behind is gone by then. The last are
/// the cookies of handshakes, which stay for 95 s.
const SETTLED: Duration = Duration::from_secs(97);
/// Memory is given back after the number of clients has changed by so many at least: these take about two megabytes.
const LEAST: usize = 1024;

/// So much free memory at the end of a heap, and a block of that size, go back to the system at once.
const KEPT: libc::c_int = 1 << 20;

/// Sets how much free memory the allocator keeps. By itself glibc keeps twice as much as the largest block that was ever freed, up to 64 MB, at the
/// end of each heap, where [`return_freed_memory`] does not reach it. With other C libraries this does nothing.
#[allow(unsafe_code, reason = "no crate wraps mallopt")]
pub(crate) fn limit_free_memory() {
    // SAFETY: takes no pointer, may be called by any thread at any time, and takes the allocator's own locks. A value that it refuses changes nothing.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
        libc::mallopt(libc::M_MMAP_THRESHOLD, KEPT);
    }
}

/// Makes the allocator return free memory to the system. glibc keeps free memory that lies below memory in use until it is told to
/// return it. With other C libraries this does nothing.
#[allow(unsafe_code, reason = "no crate wraps malloc_trim")]
pub(crate) fn return_freed_memory() {
    // SAFETY: takes no pointer, may be called by any thread at any time, and takes the allocator's own locks.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Notices when clients may have left much memory behind: those that have gone, and those that came, for which tables
/// grew. A number of clients that stays about the same leaves nothing behind, however many come and go.
#[derive(Debug, Default)]
pub(super) struct FreedMemory {
    /// The number of clients when it had changed by much last.
    clients: usize,
    /// When memory is to be given back, if the number does not change by much again before.
    due: Option<Instant>,
}

impl FreedMemory {
    /// Whether it is time to give memory back. To be called about once a second with the number of clients.
    pub(super) fn is_due(&mut self, now: Instant, clients: usize) -> bool {
        if self.clients.abs_diff(clients) >= LEAST && change::is_large(self.clients, clients) {
            (self.clients, self.due) = (clients, Some(now + SETTLED));
        }
        self.due.take_if(|due| *due <= now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When memory is given back, in seconds, if there are so many clients from each second on.
    fn times(changes: &[(u64, usize)]) -> Vec<u64> {
        let (start, mut memory) = (Instant::now(), FreedMemory::default());
        let mut changes = changes.iter().peekable();
        let mut clients = 0;
        let is_due = |second: &u64| {
            if let Some((_, next)) = changes.next_if(|(at, _)| at <= second) {
                clients = *next;
            }
            memory.is_due(start + Duration::from_secs(*second), clients)
        };
        (0..1000).filter(is_due).collect()
    }

    #[test]
    fn memory_is_given_back_once_after_many_have_come_or_gone() {
        assert_eq!(times(&[(10, 100_000), (300, 0)]), [107, 397]);
        assert_eq!(times(&[(0, 1023), (300, 0)]), [0_u64; 0], "too few to matter");
        assert_eq!(times(&[(0, 1024)]), [97]);
        // An eighth of them.
        assert_eq!(times(&[(0, 100_000), (200, 112_000), (400, 100_500)]), [97]);
        assert_eq!(times(&[(0, 100_000), (200, 87_500)]), [97, 297]);
        // Many that come or go one after the other count together, from the last ones on.
        assert_eq!(times(&[(0, 20_000), (50, 60_000), (140, 100_000)]), [237]);
        assert_eq!(times(&[(0, 100_000), (200, 50_000), (290, 20_000), (380, 0)]), [97, 477]);
    }
}
