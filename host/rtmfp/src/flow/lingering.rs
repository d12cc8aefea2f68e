//! What is remembered of a receiving flow that has ended (RFC 7016 §3.6.3.8).

use std::time::{Duration, Instant};

use super::config::FlowConfig;
use crate::wire::chunk::{Ack, BUFFER_BLOCK};

/// How long an ended flow is remembered (§3.6.3.8).
pub(super) const LINGER: Duration = Duration::from_secs(120);

/// A flow that is complete and delivered: all that is needed to answer stragglers (§3.6.3.8).
#[derive(Clone, Copy, Debug)]
pub(super) struct Lingering {
    pub(super) id: u64,
    pub(super) cumulative: u64,
    pub(super) until: Instant,
    pub(super) should_ack: bool,
}

impl Lingering {
    /// Appends the acknowledgement of everything.
    pub(super) fn put_ack(&mut self, config: &FlowConfig, out: &mut Vec<u8>, limit: usize) -> bool {
        let start = out.len();
        let blocks = (config.receive_buffer as u64).div_ceil(BUFFER_BLOCK).max(1);
        Ack::put(self.id, blocks, self.cumulative, std::iter::empty(), out);
        if out.len() > limit {
            out.truncate(start);
            return false;
        }
        self.should_ack = false;
        true
    }
}
