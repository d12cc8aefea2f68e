//! Sessions that are pinged because another session shows the same peer id.

use std::collections::HashMap;
use std::time::Instant;

use rtmfp::{PeerId, SessionId};

/// The sessions that are pinged, and the sessions that did not answer and may answer yet.
#[derive(Default)]
pub(super) struct Doubts {
    pub(super) doubted: HashMap<SessionId, Doubt>,
    pub(super) next: Option<Instant>,
}

pub(super) struct Doubt {
    pub(super) peer: PeerId,
    /// A packet that came after this time counts as an answer.
    pub(super) since: Instant,
    pub(super) pings: u8,
    pub(super) is_passed_over: bool,
}

impl Doubts {
    /// Has the sessions looked at again at that time, if not sooner.
    pub(super) fn look_again(&mut self, due: Instant) {
        self.next = Some(self.next.map_or(due, |next| next.min(due)));
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.next
    }
}
