//! Drops the handshakes and lookups of addresses that an adaptor's access rules deny, before any work is done for them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtmfp::crypto::cipher;

use super::listener::Listener;
use super::services::Services;
use crate::introducer::Counter;

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
