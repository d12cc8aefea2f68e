//! "TCP Congestion Control" (RFC 5681) with selective acknowledgement, and the restraint of RFC 7016 §3.5.2.1.

use super::controller::{Controller, Feedback};

/// Sender maximum segment size: about the user data in one packet.
const SEGMENT: u32 = 1200;
/// The initial window of RFC 5681 §3.1 for segments of this size.
const INITIAL: u32 = 3 * SEGMENT;
/// The most the window grows to. Far above what any client's receive buffer allows.
const MAX: u32 = 64 << 20;
/// Yielding to time critical data, the window grows by one part in this many per round trip,
const YIELDING_SHARE: u32 = 200;
/// or by this many bytes, if that is more (RFC 7016 §3.5.2.1).
const YIELDING_BYTES: u32 = 384;

/// Slow start, congestion avoidance and recovery as in RFC 5681.
///
/// Bytes are kept in 32 bits: each of many idle sessions has one of these.
#[derive(Debug)]
pub struct TcpCompatible {
    window: u32,
    /// SSTHRESH.
    threshold: u32,
    /// Bytes acknowledged since the window last grew, in congestion avoidance.
    credit: u32,
    /// A loss of a transmission up to this one belongs to the congestion event already answered.
    recovery: u64,
    /// The most that was outstanding in this round trip and the one before: whether the window was used.
    peak: u32,
    previous_peak: u32,
    /// The round trip ends when a transmission after this one is acknowledged.
    round: u64,
    /// The last thing that happened was a timeout: another says nothing new about the path (RFC 5681 §3.1, equation 4).
    timed_out: bool,
}

impl Default for TcpCompatible {
    fn default() -> Self {
        Self {
            window: INITIAL,
            threshold: u32::MAX,
            credit: 0,
            recovery: 0,
            peak: 0,
            previous_peak: 0,
            round: 0,
            timed_out: false,
        }
    }
}

impl TcpCompatible {
    /// For [`crate::flow::FlowConfig::congestion`].
    pub fn boxed() -> Box<dyn Controller> {
        Box::new(Self::default())
    }

    /// The window is what limits sending (RFC 7661): else nothing is known of what the path would bear.
    fn is_limiting(&self) -> bool {
        let used = self.peak.max(self.previous_peak);
        if self.window < self.threshold {
            self.window < used.saturating_mul(2)
        } else {
            self.window <= used.saturating_add(SEGMENT)
        }
    }

    fn halved(outstanding: u32) -> u32 {
        (outstanding / 2).max(2 * SEGMENT)
    }
}

impl Controller for TcpCompatible {
    fn window(&self) -> usize {
        self.window as usize
    }

    fn on_sent(&mut self, outstanding: usize) {
        self.peak = self.peak.max(narrow(outstanding));
    }

    fn on_feedback(&mut self, feedback: &Feedback) {
        let acknowledged = narrow(feedback.acknowledged);
        if feedback.acknowledged > 0 {
            self.timed_out = false;
        }
        if feedback.newest_acknowledged > self.round {
            self.round = feedback.last_sent;
            self.previous_peak = std::mem::replace(&mut self.peak, narrow(feedback.outstanding));
        }
        if feedback.lost > 0 {
            if feedback.newest_lost > self.recovery {
                // RFC 5681 §3.2: once for all losses of a window.
                self.threshold = Self::halved(narrow(feedback.outstanding_before));
                self.window = self.threshold.min(self.window);
                self.credit = 0;
                self.recovery = feedback.last_sent;
            }
            return;
        }
        if feedback.acknowledged == 0 || feedback.newest_acknowledged <= self.recovery || !self.is_limiting() {
            return;
        }
        if self.window < self.threshold && !feedback.yielding {
            // Equation 2 of RFC 5681 §3.1.
            self.window += acknowledged.min(SEGMENT);
        } else {
            let step =
                if feedback.yielding { (self.window / YIELDING_SHARE).clamp(YIELDING_BYTES, SEGMENT) } else { SEGMENT };
            self.credit = self.credit.saturating_add(acknowledged);
            if self.credit >= self.window {
                self.credit -= self.window;
                self.window += step;
            }
        }
        self.window = self.window.min(MAX);
    }

    fn on_timeout(&mut self, outstanding: usize, last_sent: u64) {
        if outstanding == 0 {
            return;
        }
        if !self.timed_out {
            self.threshold = Self::halved(narrow(outstanding));
        }
        self.timed_out = true;
        self.window = SEGMENT;
        self.credit = 0;
        self.peak = 0;
        self.previous_peak = 0;
        // What was in flight is answered; slow start begins with the first acknowledgement of what follows.
        self.recovery = last_sent;
        self.round = last_sent;
    }

    /// RFC 5681 §4.1.
    fn on_restart(&mut self) {
        self.window = self.window.min(INITIAL);
        self.peak = 0;
        self.previous_peak = 0;
    }
}

/// More than 4 GiB are never outstanding: the window ends long before.
fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
