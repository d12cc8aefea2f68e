//! The failure that ends the process, and its line in the log.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How long the last line may take to be written.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why and until when the process ends.
#[derive(Default)]
pub(super) struct Ending {
    /// The first failure of a thread.
    pub(super) failure: Option<String>,
    /// How long the process may take to stop, once it has been told to.
    pub(super) stop_limit: Option<Duration>,
}

pub(super) static ENDING: Mutex<Ending> = Mutex::new(Ending { failure: None, stop_limit: None });
pub(super) static CHANGED: Condvar = Condvar::new();

/// Reports that a thread on which clients depend has failed: the process ends, if it has a [`Supervisor`](super::Supervisor). Without
/// one, in tests, the failure is only logged.
pub fn fail(why: &str) {
    let mut ending = ENDING.lock();
    if ending.failure.is_none() {
        ending.failure = Some(why.to_owned());
        CHANGED.notify_all();
    }
    drop(ending);
    log_apart(format!(
        "{why}: the process cannot serve its clients any more and ends; have a service manager start it again"
    ));
}

/// Logs a line on a thread of its own, because the log itself may be what stands still.
pub(super) fn log_apart(text: String) {
    let (written, is_written) = std::sync::mpsc::channel();
    let writer = std::thread::Builder::new().name("last-words".to_owned()).spawn(move || {
        tracing::error!("{text}");
        introd_log::flush(Instant::now() + LAST_WORDS);
        let _ = written.send(());
    });
    if writer.is_ok() {
        // Waiting ends here if the writer hangs.
        let _ = is_written.recv_timeout(2 * LAST_WORDS);
    }
}
