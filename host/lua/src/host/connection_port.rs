//! The way of a NetConnection's events to the inbox of its instance.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::shared::{ScriptState, Shared};
use crate::instance::connections::ConnectionPort;
use introd_policy::net_connection::ConnectionEvent;

/// How often the log says that events are lost.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// Leads to an instance.
pub(super) struct HostedPort {
    shared: Weak<Shared>,
    /// Events that were lost since the log last said so.
    lost: AtomicU64,
    said: Mutex<Option<Instant>>,
}

impl HostedPort {
    pub(super) fn new(shared: Weak<Shared>) -> Self {
        Self { shared, lost: AtomicU64::new(0), said: Mutex::default() }
    }

    /// An event has found no room: that is counted, and said now and then.
    fn count_lost(&self, shared: &Shared, now: Instant) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| now.saturating_duration_since(said) >= SAY_EVERY) {
            *said = Some(now);
            let lost = self.lost.swap(0, Ordering::Relaxed);
            tracing::warn!(app = %shared.name, lost, "the script is slower than its NetConnections: postings and messages from other members are lost");
        }
    }
}

impl ConnectionPort for HostedPort {
    fn tell(&self, connection: u64, event: ConnectionEvent) -> Result<(), Box<ConnectionEvent>> {
        let Some(shared) = self.shared.upgrade() else { return Err(Box::new(event)) };
        if matches!(shared.state(), ScriptState::Failed | ScriptState::Stopped) {
            return Err(Box::new(event));
        }
        let taken = shared.inbox.push_connection(connection, event);
        if taken.is_err() {
            self.count_lost(&shared, Instant::now());
        }
        shared.wake();
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use introd_policy::net_connection::{GroupEvent, GroupId};

    use super::*;
    use crate::engine::memory::Memory;
    use crate::tests::{Sink, instance_name};

    fn posting() -> ConnectionEvent {
        ConnectionEvent::Group { group: GroupId(1), event: GroupEvent::Posting { id: [0; 32], value: vec![0; 64] } }
    }

    #[test]
    fn what_finds_no_room_is_given_back_and_counted_and_said_once_in_a_while() {
        let settings = Arc::new(crate::testing::settings());
        let (name, commands) = (instance_name("app"), Arc::new(Sink::default()));
        let queue = Arc::default();
        let shared = Arc::new(Shared::new(name, "/nonexistent".into(), settings, commands, queue, Memory::default()));
        let port = HostedPort::new(Arc::downgrade(&shared));
        let taken = (0..5000).filter(|_| port.tell(1, posting()).is_ok()).count();
        assert!((500..4000).contains(&taken), "{taken}");
        let lost = 5000 - taken as u64;
        assert_eq!(port.lost.load(Ordering::Relaxed), lost - 1, "the first was said");
        let later = Instant::now() + SAY_EVERY;
        port.count_lost(&shared, later);
        port.count_lost(&shared, later);
        assert_eq!(port.lost.load(Ordering::Relaxed), 1);
        shared.set_state(ScriptState::Stopped);
        while shared.inbox.pop().is_some() {}
        assert!(port.tell(1, posting()).is_err(), "nobody reads");
        drop(shared);
        assert!(port.tell(1, posting()).is_err());
    }
}
