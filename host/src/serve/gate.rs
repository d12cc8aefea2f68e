//! Keeps out the handshakes and lookups of addresses that an adaptor denies, before any work is done for them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtmfp::crypto::cipher;

use super::clients::Services;
use super::listener::Listener;
use crate::introducer::Counter;

/// Strangers can send as much as they like: the log is told of it so often at most.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Stands behind the sockets of one worker.
pub(super) struct Gate {
    worker: u8,
    services: Arc<Services>,
    /// The adaptor of each socket, by its place in the configuration.
    adaptors: Vec<usize>,
    told: Option<Instant>,
    /// What was kept out since the log was told.
    untold: u64,
}

impl Gate {
    pub(super) fn new(worker: u8, services: Arc<Services>, listeners: &[Listener]) -> Self {
        let adaptors = listeners.iter().map(|listener| listener.adaptor).collect();
        Self { worker, services, adaptors, told: None, untold: 0 }
    }

    /// Whether a datagram may be looked into: one of session startup only if the adaptor's access rules permit its source. A session
    /// that is open has been let in, and answers for itself when its address changes.
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
        self.untold += 1;
        if self.told.is_none_or(|told| now.saturating_duration_since(told) >= TELL_EVERY) {
            let packets = std::mem::take(&mut self.untold);
            tracing::info!(%from, packets, "hellos and lookups are ignored: the adaptor's access rules deny the address");
            self.told = Some(now);
        }
        false
    }
}
