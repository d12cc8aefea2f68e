//! Sessions whose ids others show too, and which are asked for a sign of life.

use std::collections::HashMap;
use std::time::Instant;

use rtmfp::{PeerId, SessionId};

/// The sessions that are asked for a sign of life, and those that gave none and may yet.
#[derive(Default)]
pub(super) struct Doubts {
    pub(super) doubted: HashMap<SessionId, Doubt>,
    pub(super) next: Option<Instant>,
}

pub(super) struct Doubt {
    pub(super) peer: PeerId,
    /// What came after this is an answer.
    pub(super) since: Instant,
    pub(super) pings: u8,
    pub(super) is_passed_over: bool,
}

impl Doubts {
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.next
    }
}
