//! What has gone wrong.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rtmfp::PeerId;

/// An invariant that does not hold.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) at: Instant,
    /// What should hold always.
    pub(crate) invariant: &'static str,
    /// What was seen instead.
    pub(crate) seen: String,
    /// Whose stories say more.
    pub(crate) peers: Vec<PeerId>,
}

impl Violation {
    pub(crate) fn new(invariant: &'static str, seen: impl Into<String>) -> Self {
        Self { at: Instant::now(), invariant, seen: seen.into(), peers: Vec::new() }
    }

    /// The same, about these peers.
    pub(crate) fn about(mut self, peers: &[PeerId]) -> Self {
        self.peers.extend_from_slice(peers);
        self
    }
}

/// The first violation. The soak ends with it: others may follow from it.
#[derive(Default)]
pub(crate) struct Problems(Mutex<Option<Violation>>);

impl Problems {
    /// Notes one.
    pub(crate) fn report(&self, violation: Violation) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(violation);
    }

    /// The first one, if there is any.
    pub(crate) fn first(&self) -> Option<Violation> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
