//! What the window does.

use super::*;
use crate::test_clock::test_clock;

/// [`super::SEGMENT`] as paths count bytes.
const SEGMENT: usize = super::SEGMENT as usize;

/// A path on which everything arrives, in packets of `SEGMENT` bytes acknowledged one by one.
#[derive(Debug)]
struct Path {
    controller: TcpCompatible,
    sent: u64,
    outstanding: usize,
    acknowledged: u64,
    yielding: bool,
}

impl Path {
    fn new() -> Self {
        let controller = TcpCompatible::default();
        Self { controller, sent: 0, outstanding: 0, acknowledged: 0, yielding: false }
    }

    fn feedback(&mut self, acknowledged: usize, lost: usize, newest_lost: u64) {
        let outstanding_before = self.outstanding;
        self.outstanding -= acknowledged + lost;
        self.controller.on_feedback(&Feedback {
            now: test_clock(),
            smoothed_rtt: None,
            acknowledged,
            lost,
            newest_lost,
            negative: lost > 0,
            outstanding_before,
            outstanding: self.outstanding,
            newest_acknowledged: self.acknowledged,
            last_sent: self.sent,
            yielding: self.yielding,
        });
    }

    fn send(&mut self) {
        self.sent += 1;
        self.outstanding += SEGMENT;
        self.controller.on_sent(self.outstanding);
    }

    /// Fills the window, then has all of it acknowledged.
    fn round(&mut self) {
        while self.outstanding < self.controller.window() {
            self.send();
        }
        while self.acknowledged < self.sent {
            self.acknowledged += 1;
            self.feedback(SEGMENT, 0, 0);
        }
    }
}

#[test]
fn slow_start_at_most_doubles_every_round_trip() {
    let mut path = Path::new();
    for _ in 0..6 {
        let before = path.controller.window();
        path.round();
        let after = path.controller.window();
        assert!(after > before + before / 2 && after <= 2 * before + SEGMENT, "{before} {after}");
    }
}

#[test]
fn a_loss_halves_the_window_once_per_window_and_growth_is_linear_then() {
    let mut path = Path::new();
    (0..5).for_each(|_| path.round());
    while path.outstanding < path.controller.window() {
        path.send();
    }
    let (before, in_flight) = (path.controller.window(), path.outstanding);
    let first = path.acknowledged + 1;
    path.acknowledged += 4;
    path.feedback(3 * SEGMENT, SEGMENT, first);
    let halved = path.controller.window();
    assert_eq!(halved, in_flight / 2);
    path.acknowledged += 2;
    path.feedback(SEGMENT, SEGMENT, first + 4);
    assert_eq!(path.controller.window(), halved, "{before}: the same congestion event");
    path.outstanding = 0;
    path.acknowledged = path.sent;
    for _ in 0..5 {
        let before = path.controller.window();
        path.round();
        let grown = path.controller.window() - before;
        assert!(grown <= 2 * SEGMENT, "{grown}");
    }
    assert!(path.controller.window() >= halved + 3 * SEGMENT);
}

#[test]
fn a_timeout_starts_over_and_a_second_one_remembers_the_first() {
    let mut path = Path::new();
    (0..5).for_each(|_| path.round());
    while path.outstanding < path.controller.window() {
        path.send();
    }
    let in_flight = path.outstanding;
    path.controller.on_timeout(in_flight, path.sent);
    path.outstanding = 0;
    assert_eq!(path.controller.window(), SEGMENT);
    assert_eq!(path.controller.threshold as usize, in_flight / 2);
    path.send();
    path.controller.on_timeout(SEGMENT, path.sent);
    assert_eq!(path.controller.threshold as usize, in_flight / 2);
    path.controller.on_timeout(0, path.sent);
    assert_eq!(path.controller.threshold as usize, in_flight / 2);
    path.outstanding = 0;
    path.acknowledged = path.sent;
    path.round();
    assert_eq!(path.controller.window(), 2 * SEGMENT);
}

#[test]
fn a_window_that_is_not_used_does_not_grow() {
    let mut path = Path::new();
    (0..4).for_each(|_| path.round());
    for _ in 0..4 {
        path.send();
        path.acknowledged += 1;
        path.feedback(SEGMENT, 0, 0);
    }
    let idle = path.controller.window();
    for _ in 0..1000 {
        path.send();
        path.acknowledged += 1;
        path.feedback(SEGMENT, 0, 0);
    }
    assert_eq!(path.controller.window(), idle);
    path.controller.on_restart();
    assert_eq!(path.controller.window(), INITIAL as usize);
}

#[test]
fn yielding_to_time_critical_data_the_window_hardly_grows() {
    let mut path = Path::new();
    (0..4).for_each(|_| path.round());
    path.yielding = true;
    let before = path.controller.window();
    (0..10).for_each(|_| path.round());
    let grown = path.controller.window() - before;
    assert!(grown > 0 && grown <= 11 * YIELDING_BYTES as usize, "{grown}");
}

/// A controller with that window, all of it in use, in congestion avoidance unless `slow_start`.
fn with_window(window: u32, slow_start: bool) -> TcpCompatible {
    let threshold = if slow_start { u32::MAX } else { 0 };
    TcpCompatible { window, threshold, peak: window, ..TcpCompatible::default() }
}

/// What a packet says that acknowledges `acknowledged` bytes, with transmission `newest` as the highest.
fn acknowledging(acknowledged: usize, newest: u64) -> Feedback {
    Feedback {
        now: test_clock(),
        smoothed_rtt: None,
        acknowledged,
        lost: 0,
        newest_lost: 0,
        negative: false,
        outstanding_before: acknowledged,
        outstanding: 0,
        newest_acknowledged: newest,
        last_sent: newest,
        yielding: false,
    }
}

/// How much the window grows by a packet that acknowledges a whole window.
fn growth(mut controller: TcpCompatible, yielding: bool) -> u32 {
    let before = controller.window;
    controller.on_feedback(&Feedback { yielding, ..acknowledging(before as usize, 1) });
    controller.window - before
}

#[test]
fn the_first_window_is_three_segments() {
    assert_eq!(TcpCompatible::boxed().window(), 3600);
}

/// 0.5 % or 384 bytes in a round trip, and never more than without yielding.
#[test]
fn yielding_the_window_grows_by_half_a_percent_or_384_bytes() {
    for (window, yields, does_not) in
        [(3600, 384, 1200), (76_800, 384, 1200), (100_000, 500, 1200), (240_000, 1200, 1200), (1_000_000, 1200, 1200)]
    {
        assert_eq!(growth(with_window(window, false), true), yields, "{window}");
        assert_eq!(growth(with_window(window, true), true), yields, "{window}: and there is no slow start");
        assert_eq!(growth(with_window(window, false), false), does_not, "{window}");
    }
}

/// Equation 2 of RFC 5681: by what a packet acknowledges, at most by a segment.
#[test]
fn slow_start_grows_by_what_is_acknowledged() {
    for (acknowledged, growth) in [(0, 0), (1, 1), (1199, 1199), (1200, 1200), (5000, 1200)] {
        let mut controller = with_window(10_000, true);
        controller.on_feedback(&acknowledging(acknowledged, 1));
        assert_eq!(controller.window, 10_000 + growth, "{acknowledged}");
    }
    // It ends at the threshold.
    let mut controller = TcpCompatible { threshold: 10_001, ..with_window(10_000, true) };
    controller.on_feedback(&acknowledging(1200, 1));
    controller.peak = 20_000;
    controller.on_feedback(&acknowledging(1200, 2));
    assert_eq!(controller.window, 11_200);
}

/// In congestion avoidance, by a segment for each window that is acknowledged, in however many packets.
#[test]
fn congestion_avoidance_grows_by_a_segment_for_each_window_acknowledged() {
    let mut controller = with_window(12_000, false);
    for (packet, window) in (1..).zip([12_000, 13_200, 14_400]) {
        // 22000 after two, of which 10000 remain for the third.
        controller.peak = controller.window;
        controller.on_feedback(&acknowledging(11_000, packet));
        assert_eq!(controller.window, window, "{packet}");
    }
}

#[test]
fn a_window_that_has_reached_its_threshold_is_past_slow_start() {
    let mut controller = TcpCompatible { threshold: 12_000, ..with_window(12_000, true) };
    controller.on_feedback(&acknowledging(SEGMENT, 1));
    assert_eq!(controller.window, 12_000, "a segment does not make it grow, only a whole window does");
    let mut below = TcpCompatible { threshold: 12_001, ..with_window(12_000, true) };
    below.on_feedback(&acknowledging(SEGMENT, 1));
    assert_eq!(below.window, 13_200);
}

#[test]
fn there_is_a_largest_window() {
    for slow_start in [true, false] {
        assert_eq!(growth(with_window(MAX - 100, slow_start), false), 100);
        assert_eq!(growth(with_window(MAX, slow_start), false), 0);
    }
    assert_eq!(MAX, 64 << 20);
}

/// A window grows only while it is what limits sending: in slow start, with more than half of it in use; in congestion avoidance,
/// with all but a segment.
#[test]
fn only_a_window_in_use_grows() {
    for (slow_start, used, grows) in
        [(true, 6000, false), (true, 6001, true), (false, 10_799, false), (false, 10_800, true)]
    {
        for used_before in [false, true] {
            let (peak, previous_peak) = if used_before { (0, used) } else { (used, 0) };
            let controller = TcpCompatible { peak, previous_peak, round: 1, ..with_window(12_000, slow_start) };
            assert_eq!(growth(controller, false) > 0, grows, "{slow_start} {used} {used_before}");
        }
    }
}

/// What was in use counts in its round trip and the next.
#[test]
fn use_is_remembered_for_a_round_trip() {
    let mut controller = with_window(12_000, true);
    controller.on_sent(9000);
    controller.on_sent(7000);
    assert_eq!(controller.peak, 12_000, "the most that was outstanding");
    controller.peak = 9000;
    let quiet = |newest_acknowledged, last_sent| Feedback {
        outstanding: 500,
        newest_acknowledged,
        last_sent,
        ..acknowledging(0, 0)
    };
    controller.on_feedback(&quiet(1, 10));
    assert_eq!((controller.peak, controller.previous_peak), (500, 9000));
    controller.on_feedback(&quiet(10, 12));
    assert_eq!((controller.peak, controller.previous_peak), (500, 9000), "the same round trip");
    controller.on_feedback(&quiet(11, 12));
    assert_eq!((controller.peak, controller.previous_peak), (500, 500));
}

/// While what was sent before a loss is acknowledged, the window stays as it is.
#[test]
fn the_window_does_not_grow_during_recovery() {
    for timeout in [false, true] {
        let mut controller = with_window(24_000, true);
        if timeout {
            controller.on_timeout(24_000, 20);
        } else {
            controller.on_feedback(&Feedback {
                lost: 1200,
                newest_lost: 1,
                outstanding_before: 24_000,
                last_sent: 20,
                ..acknowledging(1200, 4)
            });
        }
        let window = controller.window;
        assert_eq!(window, if timeout { 1200 } else { 12_000 });
        for newest in 5..=20 {
            controller.on_sent(24_000);
            controller.on_feedback(&Feedback { last_sent: 30, ..acknowledging(12_000, newest) });
            assert_eq!(controller.window, window, "{newest}");
        }
        controller.on_feedback(&Feedback { last_sent: 30, ..acknowledging(12_000, 21) });
        assert_eq!(controller.window, window + 1200);
    }
}

/// A loss of something sent after the last one was answered is another event; it is not answered below two segments, nor does it
/// ever widen the window.
#[test]
fn each_congestion_event_halves_the_window_down_to_two_segments() {
    let mut controller = with_window(9600, false);
    let mut lose = |outstanding_before, newest_lost, last_sent| {
        let lost = Feedback { lost: 1200, newest_lost, outstanding_before, last_sent, ..acknowledging(9600, 1) };
        controller.on_feedback(&lost);
        (controller.window, controller.threshold)
    };
    assert_eq!(lose(9600, 3, 10), (4800, 4800));
    assert_eq!(lose(9600, 10, 12), (4800, 4800), "sent before the loss was noticed");
    assert_eq!(lose(4800, 11, 20), (2400, 2400));
    assert_eq!(lose(2400, 21, 30), (2400, 2400));
    let mut small = TcpCompatible { window: 1200, ..with_window(9600, false) };
    small.on_feedback(&Feedback { lost: 1, newest_lost: 1, outstanding_before: 1200, ..acknowledging(0, 1) });
    assert_eq!((small.window, small.threshold), (1200, 2400));
}

/// What was acknowledged before a loss or a timeout does not count for the growth after it.
#[test]
fn congestion_takes_the_credit_for_growth_away() {
    for timeout in [false, true] {
        let mut controller = TcpCompatible { credit: 23_999, ..with_window(24_000, false) };
        if timeout {
            controller.on_timeout(24_000, 1);
        } else {
            let lost = Feedback { lost: 1, newest_lost: 1, outstanding_before: 24_000, ..acknowledging(0, 1) };
            controller.on_feedback(&lost);
        }
        assert_eq!(controller.credit, 0);
        // Nor is what was in flight before a timeout any use of the window.
        assert_eq!(controller.peak.max(controller.previous_peak) == 0, timeout);
    }
}

/// RFC 5681, equation 4: of timeouts in a row the first one counts; an acknowledgement between them makes the next a first.
#[test]
fn an_acknowledgement_between_two_timeouts_makes_the_second_count() {
    for (acknowledged, threshold) in [(0, 12_000), (1, 3000)] {
        let mut controller = with_window(24_000, true);
        controller.on_timeout(24_000, 20);
        controller.on_feedback(&Feedback { last_sent: 20, ..acknowledging(acknowledged, 20) });
        controller.on_timeout(6000, 30);
        assert_eq!((controller.window, controller.threshold), (1200, threshold), "{acknowledged}");
    }
    let mut small = with_window(24_000, true);
    small.on_timeout(100, 20);
    assert_eq!((small.window, small.threshold), (1200, 2400));
    // A timeout with nothing outstanding says nothing.
    let mut idle = with_window(24_000, true);
    idle.on_timeout(0, 20);
    assert_eq!((idle.window, idle.threshold, idle.peak), (24_000, u32::MAX, 24_000));
}

/// RFC 5681 §4.1: after a pause the window is at most the first one, and has to be used again before it grows.
#[test]
fn after_a_pause_the_window_is_at_most_the_first_one() {
    for (window, restarted) in [(24_000, 3600), (3600, 3600), (1200, 1200)] {
        let mut controller = TcpCompatible { previous_peak: window, ..with_window(window, true) };
        controller.on_restart();
        assert_eq!(controller.window, restarted);
        assert_eq!(growth(controller, false), 0);
    }
}
