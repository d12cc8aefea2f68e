//! Waiting for what must happen.

use std::time::{Duration, Instant};

/// How long anything may take. Only what hangs needs it.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until it is so. For what nothing announces: a [`Process`](crate::program::Process) is waited for by what it writes.
///
/// # Panics
/// If it is not so within [`DEADLINE`].
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
