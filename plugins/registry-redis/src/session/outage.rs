//! Refused writes: what is logged about them, once for each outage.

use std::time::{Duration, Instant};

use redis::RedisError;

use crate::shared::Severity;
use crate::trouble::{advice, code, describe};

/// Whether Redis refuses writes of one kind, and what the log says of that.
#[derive(Default)]
pub(super) struct Outage {
    /// The code of the error that was logged; `None` while writes are accepted.
    logged: Option<String>,
}

impl Outage {
    /// Redis has refused a write. Returns whether that is to be logged: the first refusal is, and each of another kind.
    pub(super) fn refused(&mut self, error: &RedisError) -> bool {
        let is_new = self.logged.as_deref() != Some(code(error));
        if is_new {
            self.logged = Some(code(error).to_owned());
        }
        is_new
    }

    /// Redis has accepted a write. Returns whether it refused them before.
    pub(super) fn accepted(&mut self) -> bool {
        self.logged.take().is_some()
    }
}

/// Whether other servers consider this one alive: whether Redis has accepted a heartbeat within its lifetime.
pub(super) struct Vitality {
    outage: Outage,
    lifetime: Duration,
    /// When Redis accepted a heartbeat last.
    accepted: Option<Instant>,
    /// Whether it was logged that the server counts as dead.
    is_dead: bool,
}

impl Vitality {
    pub(super) fn new(lifetime: Duration) -> Self {
        Self { outage: Outage::default(), lifetime, accepted: None, is_dead: false }
    }

    /// Redis has accepted a heartbeat. Returns the line to log.
    pub(super) fn accepted(&mut self, now: Instant) -> Option<(Severity, String)> {
        self.accepted = Some(now);
        let was_dead = std::mem::take(&mut self.is_dead);
        self.outage.accepted().then(|| {
            let found = if was_dead { "; other servers find the peers of this server again" } else { "" };
            (Severity::Info, format!("Redis accepts the heartbeats of this server again{found}"))
        })
    }

    /// Redis has refused a heartbeat. Returns the lines to log.
    pub(super) fn refused(&mut self, now: Instant, error: &RedisError) -> Vec<(Severity, String)> {
        let mut lines = Vec::new();
        if self.outage.refused(error) {
            let lifetime = self.lifetime.as_millis();
            let text = format!(
                "Redis refuses the heartbeats of this server: {}{}. Lookups go on. {lifetime} ms after the last heartbeat that \
                 it accepted, other servers consider this server dead",
                describe(error),
                advice(error)
            );
            lines.push((Severity::Warning, text));
        }
        if !self.is_alive(now) && !std::mem::replace(&mut self.is_dead, true) {
            let text = "the key of this server has expired, because Redis refuses its heartbeats: other servers consider this server \
                        dead and do not find its peers";
            lines.push((Severity::Error, text.to_owned()));
        }
        lines
    }

    /// Whether other servers consider this one alive.
    pub(super) fn is_alive(&self, now: Instant) -> bool {
        self.accepted.is_some_and(|accepted| now < accepted + self.lifetime)
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    const LIFETIME: Duration = Duration::from_secs(3);

    fn error(text: &str) -> RedisError {
        redis::parse_redis_value(format!("-{text}\r\n").as_bytes()).and_then(Value::extract_error).unwrap_err()
    }

    #[test]
    fn an_outage_is_logged_once_and_again_if_its_kind_changes() {
        let mut outage = Outage::default();
        assert!(!outage.accepted());
        assert_eq!(
            ["OOM a", "OOM b", "MISCONF c", "MISCONF c"].map(|text| outage.refused(&error(text))),
            [true, false, true, false]
        );
        assert_eq!([outage.accepted(), outage.accepted()], [true, false]);
        assert!(outage.refused(&error("MISCONF c")));
    }

    #[test]
    fn when_the_last_heartbeat_expires_the_server_counts_as_dead_and_says_so_once() {
        let (mut vitality, now) = (Vitality::new(LIFETIME), Instant::now());
        let first = |lines: &[(Severity, String)]| lines.iter().map(|(severity, _)| *severity).collect::<Vec<_>>();
        assert_eq!(vitality.accepted(now), None);
        let lines = vitality.refused(now + LIFETIME / 2, &error("OOM full"));
        assert_eq!(first(&lines), [Severity::Warning]);
        assert!(lines[0].1.contains("OOM") && lines[0].1.contains("maxmemory") && lines[0].1.contains("3000 ms"));
        assert!(vitality.is_alive(now + LIFETIME / 2));
        assert_eq!(vitality.refused(now + LIFETIME * 2 / 3, &error("OOM full")), []);
        assert_eq!(first(&vitality.refused(now + LIFETIME, &error("OOM full"))), [Severity::Error]);
        assert!(!vitality.is_alive(now + LIFETIME));
        assert_eq!(vitality.refused(now + LIFETIME * 2, &error("OOM full")), []);
        let again = vitality.accepted(now + LIFETIME * 3);
        assert!(again.is_some_and(|(severity, text)| severity == Severity::Info && text.contains("find the peers")));
        assert!(vitality.is_alive(now + LIFETIME * 3));
        assert_eq!(vitality.accepted(now + LIFETIME * 3), None);
        // A server that never had a heartbeat accepted is dead from the start.
        let lines = Vitality::new(LIFETIME).refused(now, &error("OOM full"));
        assert_eq!(first(&lines), [Severity::Warning, Severity::Error]);
    }
}
