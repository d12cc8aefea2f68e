//! The interface of congestion control.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// What one received packet says about the packets that were sent.
#[derive(Clone, Copy, Debug)]
pub struct Feedback {
    /// When.
    pub now: Instant,
    /// SRTT (§3.5.2.2), once measured.
    pub smoothed_rtt: Option<Duration>,
    /// Bytes acknowledged that were outstanding.
    pub acknowledged: usize,
    /// Bytes lost that were outstanding.
    pub lost: usize,
    /// The highest Transmission Sequence Number (§3.6.2.5) among those.
    pub newest_lost: u64,
    /// A transmission sent before an acknowledged one is missing: it may be late, or lost.
    pub negative: bool,
    /// S_OUTSTANDING_BYTES before the packet.
    pub outstanding_before: usize,
    /// S_OUTSTANDING_BYTES after it.
    pub outstanding: usize,
    /// The highest Transmission Sequence Number acknowledged so far.
    pub newest_acknowledged: u64,
    /// The last Transmission Sequence Number given out.
    pub last_sent: u64,
    /// The far end has said within 800 ms that it receives time critical data from others, and this end sends it none: do not compete
    /// (§3.5.2.1).
    pub yielding: bool,
}

/// A congestion control algorithm, for one session.
///
/// It must not be more aggressive than slow start (§3.5.2). Burst avoidance (§3.5.2.3) is not its business.
pub trait Controller: Debug + Send + Sync {
    /// Bytes of user data chunks that may be outstanding: more is sent while fewer are (§3.6.2.3).
    fn window(&self) -> usize;

    /// A packet with user data was sent, after which `outstanding` bytes are in flight.
    fn on_sent(&mut self, outstanding: usize);

    /// A packet with acknowledgements was received.
    fn on_feedback(&mut self, feedback: &Feedback);

    /// Nothing was acknowledged for a retransmission timeout (§3.6.2.6); `outstanding` bytes were in flight, 0 if there was no
    /// loss. `last_sent` is the last Transmission Sequence Number given out.
    fn on_timeout(&mut self, outstanding: usize, last_sent: u64);

    /// Sending resumes after a pause longer than a retransmission timeout with nothing in flight.
    fn on_restart(&mut self);
}
