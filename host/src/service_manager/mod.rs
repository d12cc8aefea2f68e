//! The service manager that started the process, systemd or one that speaks its protocols (`sd_notify(3)`, `sd_listen_fds(3)`): what it is
//! told about the server, and the sockets that it has passed. Without a service manager nothing is told and nothing is passed.
//!
//! The room must not know the server: the command `run` tells it what happens there. Begin reading with `ServiceManager`.

mod messages;
mod passed;
mod watchdog;

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use messages::Messages;
use watchdog::Watchdog;

pub use passed::PassedSockets;

/// The status is told at most once in this time.
const STATUS_PAUSE: Duration = Duration::from_secs(2);
/// How often it is tried to tell of another process that serves, and the pause between two tries.
const SUCCESSOR_TRIES: u32 = 200;
const SUCCESSOR_PAUSE: Duration = Duration::from_millis(10);
/// The longest status, in characters.
const MAX_STATUS: usize = 256;

/// The service manager, if there is one, as the server sees it. It never waits.
pub(crate) struct ServiceManager {
    messages: Messages,
    watchdog: Option<Watchdog>,
    status: String,
    told: Option<Instant>,
}

impl ServiceManager {
    /// The service manager that the environment names.
    pub(crate) fn from_environment() -> Self {
        let variable = |name: &str| std::env::var_os(name);
        let messages = Messages::to(variable("NOTIFY_SOCKET").as_deref());
        let watchdog = Watchdog::of(variable("WATCHDOG_USEC").as_deref(), variable("WATCHDOG_PID").as_deref());
        Self { messages, watchdog, status: String::new(), told: None }
    }

    /// The server serves.
    pub(crate) fn tell_ready(&mut self, status: &str) {
        self.tell("READY=1", status);
    }

    /// The server begins to read its configuration again. [`Self::tell_ready`] must follow.
    pub(crate) fn tell_reloading(&mut self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"), "reading the configuration again");
    }

    /// Another process serves in the place of this one, which ends: the service manager watches that one from now on. This may wait a moment
    /// for room, because without it the end of this process would be the end of the service.
    pub(crate) fn tell_successor(&mut self, process: u32) {
        self.messages.send(format!("MAINPID={process}"));
        for _ in 0..SUCCESSOR_TRIES {
            if !self.messages.are_waiting() {
                return;
            }
            std::thread::sleep(SUCCESSOR_PAUSE);
            self.messages.flush();
        }
        tracing::error!(process, "the service manager was not told that another process serves: it may end that one");
    }

    /// The server stops.
    pub(crate) fn tell_stopping(&mut self, status: &str) {
        self.tell("STOPPING=1", status);
    }

    /// Tells how the server is, if that has changed, and shows the watchdog that it goes on. `good_looks` grows as long as all threads on
    /// which clients depend go on. This must be called at least every [`introd_liveness::BEAT`].
    pub(crate) fn tick(&mut self, now: Instant, good_looks: u64, status: &str) {
        self.messages.flush();
        // What cannot be sent now is not worth keeping.
        if self.messages.are_waiting() {
            return;
        }
        if self.watchdog.as_mut().is_some_and(|watchdog| watchdog.is_due(now, good_looks)) {
            self.messages.send("WATCHDOG=1".to_owned());
        }
        let is_due = self.told.is_none_or(|told| now.saturating_duration_since(told) >= STATUS_PAUSE);
        if is_due && status != self.status {
            self.told = Some(now);
            status.clone_into(&mut self.status);
            self.messages.send(format!("STATUS={}", line(status)));
        }
    }

    fn tell(&mut self, state: &str, status: &str) {
        status.clone_into(&mut self.status);
        self.messages.send(format!("{state}\nSTATUS={}", line(status)));
    }
}

/// A text in one line, because another line would be another message; cut to the longest status.
fn line(text: &str) -> String {
    text.trim_end().replace(char::is_control, " ").chars().take(MAX_STATUS).collect()
}

#[cfg(test)]
mod tests;
