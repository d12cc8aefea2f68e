//! Drops the handshakes and lookups of addresses that an adaptor's access rules deny, before any work is done for them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtmfp::crypto::cipher;

use super::services::Services;
use crate::introducer::Counter;
use crate::network::Listener;

/// The time between two log lines about it: strangers can send as much as they like.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The filter behind the sockets of one worker.
pub(super) struct Gate {
    worker: u8,
    services: Arc<Services>,
    /// Each socket's adaptor, as its place in the configuration.
    adaptors: Vec<usize>,
    logged: Option<Instant>,
    /// How many packets were dropped since the last log line.
    dropped: u64,
}

impl Gate {
    pub(super) fn new(worker: u8, services: Arc<Services>, listeners: &[Listener]) -> Self {
        let adaptors = listeners.iter().map(|listener| listener.adaptor).collect();
        Self { worker, services, adaptors, logged: None, dropped: 0 }
    }

    /// Whether a datagram is processed. Packets of session startup are, if the adaptor's access rules permit their source. Packets of an
    /// open session always are: its address was permitted, and the rules are applied again if the address changes.
    pub(super) fn admits(&mut self, now: Instant, socket: usize, from: SocketAddr, datagram: &[u8]) -> bool {
        let applications = &self.services.applications;
        if !applications.has_adaptor_rules() || cipher::session_id(datagram) != Some(0) {
            return true;
        }
        let adaptor = self.adaptors.get(socket).copied().unwrap_or_default();
        if applications.adaptor_permits(adaptor, from.ip()) {
            return true;
        }
        self.services.counters.worker(self.worker).add(Counter::AddressesDenied);
        self.dropped += 1;
        if self.logged.is_none_or(|logged| now.saturating_duration_since(logged) >= LOG_INTERVAL) {
            let packets = std::mem::take(&mut self.dropped);
            tracing::info!(%from, packets, "hellos and lookups are ignored: the adaptor's access rules deny the address");
            self.logged = Some(now);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use introd_config::{Access, Config};

    use super::*;
    use crate::serve::testing::services;

    /// What begins with the session id 0, as all packets of session startup do, and what is for a session.
    const STARTUP: [u8; 12] = [0; 12];
    const IN_SESSION: [u8; 12] = [0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0];

    /// A gate behind three sockets: of the default adaptor, of a second one, and of one that the configuration does not have.
    fn gate(config: &Config) -> Gate {
        let listener = |adaptor| Listener { adaptor, local: ([0, 0, 0, 0], 1935).into(), public: None };
        Gate::new(0, Arc::new(services(config, None, None)), &[0, 1, 7].map(listener))
    }

    fn config(default: Access, other: Access) -> Config {
        let mut config = Config::built_in();
        config.adaptors.push(introd_config::Adaptor {
            name: "other".into(),
            access: other,
            ..config.default_adaptor.clone()
        });
        config.default_adaptor.access = default;
        config
    }

    fn from() -> SocketAddr {
        ([192, 0, 2, 1], 5).into()
    }

    #[test]
    fn startup_packets_come_in_where_their_sockets_adaptor_permits_the_source() {
        for (default, other, expected) in [
            (Access::everyone(), Access::everyone(), [true, true, true]),
            (Access::deny_all(), Access::everyone(), [false, true, false]),
            (Access::everyone(), Access::deny_all(), [true, false, true]),
        ] {
            let mut gate = gate(&config(default, other));
            let now = Instant::now();
            assert_eq!([0, 1, 2].map(|socket| gate.admits(now, socket, from(), &STARTUP)), expected);
            assert!((0..3).all(|socket| gate.admits(now, socket, from(), &IN_SESSION)), "open sessions go on");
            let denied = expected.iter().filter(|is_admitted| !**is_admitted).count();
            assert_eq!(gate.services.counters.snapshot().get(Counter::AddressesDenied), denied as u64);
        }
    }

    #[test]
    fn what_is_denied_is_logged_once_in_an_interval_with_the_count() {
        let mut gate = gate(&config(Access::deny_all(), Access::everyone()));
        let now = Instant::now();
        let mut denied = |at: Duration| {
            assert!(!gate.admits(now + at, 0, from(), &STARTUP));
            gate.dropped
        };
        assert_eq!([0, 1, 59].map(|second| denied(Duration::from_secs(second))), [0, 1, 2], "the first has a line");
        assert_eq!([60, 61].map(|second| denied(Duration::from_secs(second))), [0, 1]);
    }

    #[test]
    fn other_rules_count_from_the_next_packet_on() {
        let mut gate = gate(&config(Access::everyone(), Access::everyone()));
        assert!(gate.admits(Instant::now(), 0, from(), &STARTUP));
        gate.services.applications.reconfigure(config(Access::deny_all(), Access::everyone()));
        assert!(!gate.admits(Instant::now(), 0, from(), &STARTUP));
        gate.services.applications.reconfigure(config(Access::everyone(), Access::everyone()));
        assert!(gate.admits(Instant::now(), 0, from(), &STARTUP));
    }
}
