//! Round trip times by timestamp echo, and the retransmission timeout (RFC 7016 §3.5.2.2).
//!
//! Times are kept in 32 bits, as milliseconds since the session opened or as microseconds: an idle session is to be small.

mod handover;

use std::time::{Duration, Instant};

use crate::moment::Moment;
use crate::wire::PacketHeader;
use crate::wire::packet::TICK_MS;

/// The effective retransmission timeout before anything is measured.
const INITIAL_ERTO: Duration = Duration::from_secs(3);
/// The measured retransmission timeout before anything is measured, and the least effective one.
const MIN_ERTO: Duration = Duration::from_millis(250);
/// What the far end may delay an acknowledgement by.
const ACK_DELAY: Duration = Duration::from_millis(200);
/// Persistent timeouts raise the effective timeout up to here.
const MAX_BACKED_OFF_ERTO: Duration = Duration::from_secs(10);
/// A received timestamp older than this is not echoed.
const ECHO_LIFETIME: Duration = Duration::from_secs(128);

/// The timestamps and timeouts of one session.
#[derive(Clone, Debug)]
pub(crate) struct Rtt {
    /// The origin of the clock whose ticks are sent.
    epoch: Moment,
    /// TS_RX, and TS_RX_TIME in milliseconds since `epoch`.
    received: Option<(u16, u32)>,
    /// TS_ECHO_TX.
    echo_sent: Option<u16>,
    /// TS_ECHO_RX.
    echo_received: Option<u16>,
    /// SRTT and RTTVAR in microseconds.
    smoothed: Option<(u32, u32)>,
    /// MRTO in microseconds.
    measured_timeout: u32,
    /// ERTO in microseconds.
    effective_timeout: u32,
}

impl Rtt {
    /// For a session that opens now.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            epoch: now.into(),
            received: None,
            echo_sent: None,
            echo_received: None,
            smoothed: None,
            measured_timeout: micros(MIN_ERTO),
            effective_timeout: micros(INITIAL_ERTO),
        }
    }

    /// When the session opened.
    pub(crate) fn epoch(&self) -> Instant {
        self.epoch.instant()
    }

    /// The low 16 bits of this end's clock.
    fn tick(&self, now: Instant) -> u16 {
        (self.millis(now) / TICK_MS) as u16
    }

    fn millis(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch()).as_millis() as u64
    }

    /// SRTT: the smoothed round trip time, once there was a measurement.
    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.smoothed.map(|(rtt, _)| Duration::from_micros(rtt.into()))
    }

    /// ERTO.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_micros(self.effective_timeout.into())
    }

    /// Takes note of the timestamps of a verified packet.
    pub(crate) fn on_receive(&mut self, now: Instant, header: &PacketHeader) {
        if let Some(timestamp) = header.timestamp
            && self.received.is_none_or(|(seen, _)| seen != timestamp)
        {
            self.received = Some((timestamp, self.millis(now) as u32));
        }
        if let Some(echo) = header.timestamp_echo
            && self.echo_received != Some(echo)
        {
            self.echo_received = Some(echo);
            let elapsed = self.tick(now).wrapping_sub(echo);
            // More than half the clock's range can only be an echo of the future.
            if elapsed <= 32767 {
                self.measure(u32::from(elapsed) * TICK_MS as u32 * 1000);
            }
        }
    }

    /// `rtt` in microseconds, at most the 131 s that half the clock's range is: no sum here overflows.
    fn measure(&mut self, rtt: u32) {
        let (smoothed, variance) = match self.smoothed {
            Some((smoothed, variance)) => ((smoothed * 7 + rtt) / 8, (variance * 3 + smoothed.abs_diff(rtt)) / 4),
            None => (rtt, rtt / 2),
        };
        self.smoothed = Some((smoothed, variance));
        self.measured_timeout = smoothed + variance * 4 + micros(ACK_DELAY);
        self.effective_timeout = self.measured_timeout.max(micros(MIN_ERTO));
    }

    /// Puts the timestamp and its echo into the header of a packet that is sent now.
    ///
    /// The timestamp is there even if it has not changed, which RFC 7016 leaves open (TS_TX is part of an optional method): librtmfp
    /// takes no packet without one.
    pub(crate) fn on_send(&mut self, now: Instant, header: &mut PacketHeader) {
        header.timestamp = Some(self.tick(now));
        let Some((timestamp, at)) = self.received else { return };
        // The count starts again after 49 days; no session is silent for so long.
        let elapsed = u64::from((self.millis(now) as u32).wrapping_sub(at));
        if elapsed > ECHO_LIFETIME.as_millis() as u64 {
            (self.received, self.echo_sent) = (None, None);
            return;
        }
        let echo = timestamp.wrapping_add((elapsed / TICK_MS) as u16);
        if self.echo_sent != Some(echo) {
            self.echo_sent = Some(echo);
            header.timestamp_echo = Some(echo);
        }
    }

    /// What was sent last stayed outstanding for the whole timeout: the next timeout is longer.
    pub(crate) fn back_off(&mut self) {
        let longer = (f64::from(self.effective_timeout) * std::f64::consts::SQRT_2) as u32;
        self.effective_timeout = longer.min(micros(MAX_BACKED_OFF_ERTO)).max(self.measured_timeout);
    }
}

const fn micros(duration: Duration) -> u32 {
    duration.as_micros() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::test_clock;
    use crate::wire::Mode;

    /// Sends a packet's header from one end to the other.
    fn exchange(now: Instant, delay: Duration, from: &mut Rtt, to: &mut Rtt) {
        let mut header = PacketHeader::new(Mode::Initiator);
        from.on_send(now, &mut header);
        to.on_receive(now + delay, &header);
    }

    #[test]
    fn a_round_trip_is_measured_whatever_the_other_end_waits() {
        let start = test_clock();
        let (mut near, mut far) = (Rtt::new(start), Rtt::new(start + Duration::from_secs(977)));
        let one_way = Duration::from_millis(40);
        assert_eq!(near.timeout(), Duration::from_secs(3));
        let mut now = start + Duration::from_secs(1000);
        for wait in [0, 100, 5000] {
            exchange(now, one_way, &mut near, &mut far);
            now += one_way + Duration::from_millis(wait);
            exchange(now, one_way, &mut far, &mut near);
            now += one_way;
            assert!(near.smoothed().unwrap().abs_diff(Duration::from_millis(80)) <= Duration::from_millis(8));
            now += Duration::from_millis(500);
        }
        assert!(near.timeout() >= Duration::from_millis(280));
        assert!(near.timeout() < Duration::from_millis(500));
    }

    #[test]
    fn every_packet_has_a_timestamp() {
        let start = test_clock();
        let mut rtt = Rtt::new(start);
        let mut first = PacketHeader::new(Mode::Initiator);
        rtt.on_send(start, &mut first);
        let mut second = PacketHeader::new(Mode::Initiator);
        rtt.on_send(start + Duration::from_millis(3), &mut second);
        assert_eq!((first.timestamp, second.timestamp), (Some(0), Some(0)));
    }

    #[test]
    fn a_timestamp_is_echoed_for_128_seconds_with_the_time_that_has_passed_and_each_echo_once() {
        let start = test_clock();
        let at = |millis| start + Duration::from_millis(millis);
        let echo = |rtt: &mut Rtt, millis| {
            let mut header = PacketHeader::new(Mode::Initiator);
            rtt.on_send(at(millis), &mut header);
            header.timestamp_echo
        };
        let mut rtt = Rtt::new(start);
        let header = PacketHeader { timestamp: Some(1000), ..PacketHeader::new(Mode::Responder) };
        rtt.on_receive(at(0), &header);
        assert_eq!([0, 3, 4, 400].map(|millis| echo(&mut rtt, millis)), [Some(1000), None, Some(1001), Some(1100)]);
        // The same timestamp again is as old as it was.
        rtt.on_receive(at(1000), &header);
        assert_eq!(echo(&mut rtt, 2000), Some(1500));
        assert_eq!(echo(&mut rtt, 128_000), Some(33_000));
        assert_eq!(echo(&mut rtt, 128_001), None);
        assert_eq!(echo(&mut rtt, 10), None, "it is forgotten");
    }

    #[test]
    fn the_timeout_is_the_round_trip_four_times_its_variance_and_200_milliseconds_and_250_at_least() {
        let start = test_clock();
        let timeout = |rtts: &[u64]| {
            let (mut rtt, mut now) = (Rtt::new(start), start);
            for millis in rtts {
                now += Duration::from_secs(1);
                let echo = Some(rtt.tick(now));
                now += Duration::from_millis(*millis);
                rtt.on_receive(now, &PacketHeader { timestamp_echo: echo, ..PacketHeader::new(Mode::Responder) });
                // The same echo again is not measured again.
                rtt.on_receive(now, &PacketHeader { timestamp_echo: echo, ..PacketHeader::new(Mode::Responder) });
            }
            (rtt.smoothed().map(|smoothed| smoothed.as_millis()), rtt.timeout().as_millis())
        };
        assert_eq!(timeout(&[]), (None, 3000));
        assert_eq!(timeout(&[0]), (Some(0), 250));
        assert_eq!(timeout(&[16]), (Some(16), 250));
        assert_eq!(timeout(&[20]), (Some(20), 20 + 4 * 10 + 200));
        assert_eq!(timeout(&[80]), (Some(80), 80 + 4 * 40 + 200));
        // (80 * 7 + 160) / 8 and (40 * 3 + 80) / 4.
        assert_eq!(timeout(&[80, 160]), (Some(90), 90 + 4 * 50 + 200));
        assert_eq!(timeout(&[5000]), (Some(5000), 5000 + 4 * 2500 + 200), "no measured timeout is too long");
        // Half the clock's range is 131,068 ms.
        assert_eq!(timeout(&[131_068]).0, Some(131_068));
        assert_eq!(timeout(&[131_072]), (None, 3000));
    }

    #[test]
    fn timeouts_back_off_to_ten_seconds() {
        let mut rtt = Rtt::new(test_clock());
        rtt.back_off();
        assert_eq!(rtt.timeout(), Duration::from_micros(4_242_640));
        (0..20).for_each(|_| rtt.back_off());
        assert_eq!(rtt.timeout(), Duration::from_secs(10));
        rtt.measure(12_000_000);
        rtt.back_off();
        assert!(rtt.timeout() > Duration::from_secs(12), "never below the measured timeout");
    }

    #[test]
    fn a_timestamp_that_comes_again_after_it_was_forgotten_is_echoed_again() {
        let start = test_clock();
        let mut rtt = Rtt::new(start);
        let received = PacketHeader { timestamp: Some(1000), ..PacketHeader::new(Mode::Responder) };
        let echo = |rtt: &mut Rtt, at| {
            let mut header = PacketHeader::new(Mode::Initiator);
            rtt.on_send(at, &mut header);
            header.timestamp_echo
        };
        rtt.on_receive(start, &received);
        assert_eq!(echo(&mut rtt, start), Some(1000));
        let later = start + Duration::from_secs(129);
        assert_eq!(echo(&mut rtt, later), None);
        rtt.on_receive(later, &received);
        assert_eq!(echo(&mut rtt, later), Some(1000));
    }
}
