//! When a session has to acknowledge what it received (RFC 7016 §3.6.3.2, §3.6.3.4).

use std::time::{Duration, Instant};

use crate::moment::Moment;

/// The longest an acknowledgement waits (§3.6.3.4.1).
const DELAY: Duration = Duration::from_millis(200);
/// Packets with user data that one acknowledgement may wait for.
const PACKETS: u8 = 2;

/// What a fragment asks of the session's acknowledgements (§3.6.3.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AckTiming {
    Delayed,
    Now,
}

/// ACK_NOW, DELACK_ALARM and RX_DATA_PACKETS of a session.
#[derive(Debug, Default)]
pub(super) struct Acknowledging {
    /// ACK_NOW.
    now: bool,
    /// DELACK_ALARM.
    alarm: Option<Moment>,
    /// RX_DATA_PACKETS.
    data_packets: u8,
    /// There was user data in the packet being received.
    data_in_packet: bool,
}

impl Acknowledging {
    /// An acknowledgement should go out as soon as is practical.
    pub(super) fn is_due(&self) -> bool {
        self.now
    }

    /// Asks for an acknowledgement without a delay.
    pub(super) fn demand(&mut self) {
        self.now = true;
    }

    /// A User Data or Next User Data chunk has been received.
    pub(super) fn data(&mut self, now: Instant, timing: AckTiming) {
        self.data_in_packet = true;
        if timing == AckTiming::Now {
            self.now = true;
        }
        if !self.now && self.alarm.is_none() {
            self.alarm = Some((now + DELAY).into());
        }
    }

    /// All chunks of a packet have been processed.
    pub(super) fn end_of_packet(&mut self) {
        if std::mem::take(&mut self.data_in_packet) {
            self.data_packets = self.data_packets.saturating_add(1);
            self.now |= self.data_packets >= PACKETS;
        }
    }

    pub(super) fn timeout(&self) -> Option<Instant> {
        self.alarm.map(Moment::instant)
    }

    /// §3.6.3.4.4.
    pub(super) fn on_timeout(&mut self, now: Instant) {
        if self.timeout().is_some_and(|alarm| alarm <= now) {
            self.alarm = None;
            self.now = true;
        }
    }

    /// No flow has anything to acknowledge any more (§3.6.3.4.5, §3.6.3.4.6).
    pub(super) fn all_sent(&mut self) {
        self.now = false;
        self.alarm = None;
        self.data_packets = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::test_clock;

    #[test]
    fn every_second_packet_or_after_200_ms() {
        let start = test_clock();
        let mut acks = Acknowledging::default();
        acks.data(start, AckTiming::Delayed);
        acks.data(start, AckTiming::Delayed);
        acks.end_of_packet();
        assert!(!acks.is_due(), "one packet, however many chunks");
        assert_eq!(acks.timeout(), Some(start + DELAY));
        acks.on_timeout(start + DELAY / 2);
        assert!(!acks.is_due());
        acks.data(start + DELAY / 2, AckTiming::Delayed);
        acks.end_of_packet();
        assert!(acks.is_due());
        acks.all_sent();
        assert_eq!((acks.is_due(), acks.timeout()), (false, None));
        acks.data(start, AckTiming::Delayed);
        acks.end_of_packet();
        acks.on_timeout(start + DELAY);
        assert!(acks.is_due());
    }
}
