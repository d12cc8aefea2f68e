//! The time and the round trip times that flows work with.

use std::time::{Duration, Instant};

/// What the session knows of time.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The time.
    pub now: Instant,
    /// The Effective Retransmission Timeout (RFC 7016 §3.5.2.2).
    pub erto: Duration,
    /// SRTT, once measured.
    pub smoothed_rtt: Option<Duration>,
}
