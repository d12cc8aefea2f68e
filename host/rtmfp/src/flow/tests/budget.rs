//! How much a session has outstanding, and how fast it sends (RFC 7016 §3.5.2, §3.6.2.6).

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::channel::{LIMIT, receive};
use super::chunks::{ack, at, events, fill, fragments, put_ack, start};
use crate::congestion::{Controller, Feedback};
use crate::flow::config::FlowConfig;
use crate::flow::event::{FlowEvent, SendFlowId};
use crate::flow::flows::Flows;
use crate::flow::options::{Delivery, FlowOptions, Priority};
use crate::test_clock::test_clock;

/// What a controller has been told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Sent(usize),
    /// Bytes acknowledged and lost, whether something was missing, and the bytes outstanding before and after.
    Feedback {
        acknowledged: usize,
        lost: usize,
        negative: bool,
        outstanding: (usize, usize),
    },
    /// The bytes lost and the last transmission.
    Timeout(usize, u64),
    Restart,
}

/// A controller whose window is given, and that notes what it is told.
#[derive(Debug)]
struct Given {
    window: usize,
    told: Arc<Mutex<(Vec<Told>, Option<Feedback>)>>,
}

impl Controller for Given {
    fn window(&self) -> usize {
        self.window
    }
    fn on_sent(&mut self, outstanding: usize) {
        self.told.lock().unwrap().0.push(Told::Sent(outstanding));
    }
    fn on_feedback(&mut self, feedback: &Feedback) {
        let Feedback { acknowledged, lost, negative, outstanding_before, outstanding, .. } = *feedback;
        let outstanding = (outstanding_before, outstanding);
        let mut told = self.told.lock().unwrap();
        told.0.push(Told::Feedback { acknowledged, lost, negative, outstanding });
        told.1 = Some(*feedback);
    }
    fn on_timeout(&mut self, outstanding: usize, last_sent: u64) {
        self.told.lock().unwrap().0.push(Told::Timeout(outstanding, last_sent));
    }
    fn on_restart(&mut self) {
        self.told.lock().unwrap().0.push(Told::Restart);
    }
}

struct Sender {
    flows: Flows,
    flow: SendFlowId,
    told: Arc<Mutex<(Vec<Told>, Option<Feedback>)>>,
}

impl Sender {
    fn new(window: usize) -> Self {
        let mut flows = Flows::new(Arc::new(FlowConfig::default()));
        let told = Arc::default();
        flows.transmitter.controller = Box::new(Given { window, told: Arc::clone(&told) });
        let flow = flows.open(b"m", FlowOptions::default()).unwrap();
        Self { flows, flow, told }
    }

    fn send(&mut self, count: usize, length: usize) {
        (0..count).for_each(|_| _ = self.flows.send(self.flow, vec![0; length], Delivery::default()).unwrap());
    }

    /// Sends single fragments in packets of their own; their size.
    fn send_packets(&mut self, now: Instant, count: usize) -> usize {
        let before = self.flows.bytes_outstanding();
        for _ in 0..count {
            self.send(1, 100);
            assert_eq!(fragments(&fill(&mut self.flows, now)).len(), 1);
        }
        (self.flows.bytes_outstanding() - before) / count
    }

    fn ack(&mut self, now: Instant, cumulative: u64, ranges: &[(u64, u64)]) {
        ack(&mut self.flows, now, self.flow.0, 4096, cumulative, ranges);
    }

    /// Packets that go out at that time.
    fn burst(&mut self, now: Instant) -> usize {
        std::iter::from_fn(|| {
            let wants = self.flows.wants_transmit(&at(now));
            let packet = fill(&mut self.flows, now);
            assert_eq!(wants, !packet.is_empty());
            wants.then_some(())
        })
        .count()
    }

    fn told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told.lock().unwrap().0)
    }

    fn feedback(&mut self) -> Feedback {
        self.told.lock().unwrap().1.take().unwrap()
    }
}

/// §3.6.2.3: a chunk is sent while less than the window is outstanding; so the last one may cross it.
#[test]
fn no_more_is_outstanding_than_the_window_and_a_chunk() {
    for window in [1, 500, 1100, 3000] {
        let mut sender = Sender::new(window);
        sender.send(100, 50);
        let other = FlowOptions { priority: Priority::Low, ..FlowOptions::default() };
        let other = sender.flows.open(b"m", other).unwrap();
        (0..100).for_each(|_| _ = sender.flows.send(other, vec![0; 50], Delivery::default()).unwrap());
        sender.burst(start());
        let outstanding = sender.flows.bytes_outstanding();
        assert!((window..window + 70).contains(&outstanding), "{window} {outstanding}");
    }
    // Exactly the window is enough.
    let mut probe = Sender::new(usize::MAX);
    let size = probe.send_packets(start(), 1);
    let mut sender = Sender::new(size);
    sender.send(2, 100);
    assert_eq!(sender.burst(start()), 1);
    assert_eq!(sender.flows.bytes_outstanding(), size);
}

/// RFC 5681 §4.1, with the pause of an ERTO: 300 ms here.
#[test]
fn after_a_pause_with_nothing_outstanding_the_controller_starts_again() {
    for (pause, acknowledged, restarts) in [(300, 1, false), (301, 1, true), (301, 0, false)] {
        let mut sender = Sender::new(usize::MAX);
        sender.send_packets(start(), 1);
        sender.ack(start() + Duration::from_millis(100), acknowledged, &[]);
        assert!(!sender.told().contains(&Told::Restart), "at the beginning");
        sender.send_packets(start() + Duration::from_millis(pause), 1);
        assert_eq!(sender.told().contains(&Told::Restart), restarts, "{pause} {acknowledged}");
    }
}

#[test]
fn the_controller_hears_what_is_acknowledged_and_lost() {
    let now = start();
    let mut sender = Sender::new(usize::MAX);
    let size = sender.send_packets(now, 6);
    assert_eq!(sender.told(), [1, 2, 3, 4, 5, 6].map(|packets| Told::Sent(packets * size)));
    let feedback = |acknowledged, lost, negative, before, after| Told::Feedback {
        acknowledged: acknowledged * size,
        lost: lost * size,
        negative,
        outstanding: (before * size, after * size),
    };
    sender.ack(now, 1, &[]);
    assert_eq!(sender.told(), [feedback(1, 0, false, 6, 5)]);
    sender.ack(now, 1, &[(3, 3)]);
    assert_eq!(sender.told(), [feedback(1, 0, true, 5, 4)]);
    sender.ack(now, 1, &[(3, 3)]);
    assert_eq!(sender.told(), [feedback(0, 0, false, 4, 4)]);
    sender.ack(now, 1, &[(3, 4)]);
    sender.told();
    sender.ack(now, 1, &[(3, 5)]);
    assert_eq!(sender.told(), [feedback(1, 1, true, 3, 1)]);
    let last = sender.feedback();
    assert_eq!((last.newest_lost, last.newest_acknowledged, last.last_sent, last.yielding), (2, 5, 6, false));
    assert_eq!(last.now, now);
    assert_eq!(sender.flows.bytes_outstanding(), size);
    sender.flows.on_timeout(&at(now + Duration::from_millis(300)));
    assert_eq!(sender.told(), [Told::Timeout(size, 6)]);
}

/// Two acknowledgements in a packet are one piece of news, and count together.
#[test]
fn the_acknowledgements_of_a_packet_count_together() {
    let now = start();
    let mut sender = Sender::new(usize::MAX);
    let size = sender.send_packets(now, 1);
    let other = sender.flows.open(b"m", FlowOptions::default()).unwrap();
    sender.flows.send(other, vec![0; 100], Delivery::default()).unwrap();
    fill(&mut sender.flows, now);
    sender.told();
    let mut packet = Vec::new();
    put_ack(sender.flow.0, 4096, 1, &[], &mut packet);
    put_ack(other.0, 4096, 1, &[], &mut packet);
    receive(&mut sender.flows, &at(now), &packet, false);
    let expected = Told::Feedback { acknowledged: 2 * size, lost: 0, negative: false, outstanding: (2 * size, 0) };
    assert_eq!(sender.told(), [expected]);
    // And they allow one burst, not two.
    sender.send(100, 1000);
    assert_eq!(sender.burst(now), 6);
}

/// §3.6.2.6: the timeout counts from the last packet with user data, or with acknowledgements.
#[test]
fn the_retransmission_timeout_counts_from_the_last_news() {
    let millis = |millis| start() + Duration::from_millis(millis);
    let mut sender = Sender::new(usize::MAX);
    assert_eq!(sender.flows.next_timeout(), None);
    sender.send_packets(millis(0), 1);
    assert_eq!(sender.flows.next_timeout(), Some(millis(300)));
    sender.send_packets(millis(50), 1);
    assert_eq!(sender.flows.next_timeout(), Some(millis(350)));
    sender.ack(millis(100), 1, &[]);
    assert_eq!(sender.flows.next_timeout(), Some(millis(400)));
    assert!(!sender.flows.on_timeout(&at(millis(399))));
    assert!(sender.flows.on_timeout(&at(millis(400))), "a reason to back off");
    assert_eq!(sender.flows.next_timeout(), None);
    // Old news set no new one, and all done, none is left.
    sender.ack(millis(500), 1, &[]);
    assert_eq!(sender.flows.next_timeout(), None);
    assert_eq!(sender.burst(millis(500)), 1);
    sender.ack(millis(600), 2, &[]);
    assert_eq!(sender.flows.next_timeout(), None);
    assert!(sender.flows.is_idle());
}

/// §3.5.2.3: only acknowledgements of flows of this session, and timeouts, let more go.
#[test]
fn a_burst_goes_on_with_an_acknowledgement_or_a_timeout_only() {
    let millis = |millis| start() + Duration::from_millis(millis);
    let mut sender = Sender::new(usize::MAX);
    sender.send(30, 1000);
    assert_eq!(sender.burst(millis(0)), 6);
    ack(&mut sender.flows, millis(10), 99, 4096, 1, &[]);
    assert_eq!(sender.burst(millis(10)), 0, "of an unknown flow");
    sender.ack(millis(20), 0, &[]);
    sender.ack(millis(21), 0, &[]);
    assert!(sender.flows.on_timeout(&at(millis(321))));
    assert_eq!(sender.burst(millis(321)), 6);
    // A timeout that comes right after acknowledgements ends their batch.
    sender.ack(millis(330), 0, &[]);
    sender.ack(millis(331), 0, &[]);
    sender.flows.transmitter.alarm = Some(millis(331).into());
    sender.flows.on_timeout(&at(millis(331)));
    assert_eq!(sender.burst(millis(331)), 6);
}

/// Acknowledgements within 2 ms of the first one are a batch, and what they allow is used within that time.
#[test]
fn a_batch_of_acknowledgements_lasts_two_milliseconds() {
    let micros = |micros| start() + Duration::from_micros(micros);
    for (second, sent_at, packets) in [(1999, 1999, 12), (1999, 2000, 6), (2000, 2000, 6)] {
        let mut sender = Sender::new(usize::MAX);
        sender.send(100, 1000);
        assert_eq!(sender.burst(micros(0)), 6);
        sender.ack(micros(0), 0, &[]);
        sender.ack(micros(second), 0, &[]);
        assert_eq!(sender.burst(micros(sent_at)), packets, "{second} {sent_at}");
    }
}

/// §3.5.2.1: 800 ms after a notification, unless this end has sent time critical data within 800 ms.
#[test]
fn the_controller_hears_that_it_is_to_yield() {
    let millis = |millis| start() + Duration::from_millis(millis);
    // When time critical data was sent, when the notification came, and when the controller is asked.
    let cases = [
        (None, Some(0), 799, true),
        (None, Some(0), 800, false),
        (None, None, 0, false),
        (Some(0), Some(0), 799, false),
        (Some(0), Some(100), 799, false),
        (Some(0), Some(100), 800, true),
    ];
    for (urgent, notified, asked, yields) in cases {
        let mut sender = Sender::new(usize::MAX);
        sender.send_packets(start(), 1);
        if let Some(sent) = urgent {
            let options = FlowOptions { time_critical: true, ..FlowOptions::default() };
            let urgent = sender.flows.open(b"u", options).unwrap();
            sender.flows.send(urgent, b"x", Delivery::default()).unwrap();
            fill(&mut sender.flows, millis(sent));
        }
        if let Some(notified) = notified {
            receive(&mut sender.flows, &at(millis(notified)), &[], true);
        }
        sender.ack(millis(asked), 1, &[]);
        assert_eq!(sender.feedback().yielding, yields, "{urgent:?} {notified:?} {asked}");
    }
}

/// Losses that a full receiver made say nothing about the path: the controller does not hear of them.
#[test]
fn the_controller_does_not_hear_of_what_a_full_receiver_refused() {
    let now = start();
    let mut sender = Sender::new(usize::MAX);
    sender.send_packets(now, 1);
    let refusing = |sender: &mut Sender, ranges: &[(u64, u64)]| {
        ack(&mut sender.flows, now, sender.flow.0, 1, 1, ranges);
    };
    sender.ack(now, 1, &[]);
    let size = sender.send_packets(now, 5);
    (3..=4).for_each(|last| refusing(&mut sender, &[(3, last)]));
    sender.told();
    refusing(&mut sender, &[(3, 5)]);
    let expected = Told::Feedback { acknowledged: size, lost: 0, negative: true, outstanding: (3 * size, size) };
    assert_eq!(sender.told(), [expected]);
    assert_eq!(sender.flows.bytes_outstanding(), size);
    assert!(!sender.flows.on_timeout(&at(now + Duration::from_millis(300))));
    assert_eq!(sender.told(), [Told::Timeout(0, 6)]);
    assert_eq!(sender.flows.bytes_outstanding(), 0);
    assert_eq!(events(&mut sender.flows), [] as [FlowEvent; 0]);
}

/// A packet for which there is no room is none: it is not counted, nor is the controller told.
#[test]
fn what_does_not_fit_is_not_sent() {
    let mut sender = Sender::new(usize::MAX);
    sender.send(1, 1000);
    let mut bytes = vec![0; LIMIT];
    let filled = sender.flows.fill(&at(start()), &mut bytes, LIMIT);
    assert!(!filled.anything && !filled.has_data && bytes.len() == LIMIT);
    assert_eq!((sender.told(), sender.flows.next_timeout()), (vec![], None));
    assert!(sender.flows.wants_transmit(&at(test_clock())));
}

/// A far end pays for the fragments that its acknowledgements make this end look at, once: 8 of them are a unit of work.
#[test]
fn what_acknowledgements_make_do_is_counted_in_units_of_work() {
    let mut sender = Sender::new(usize::MAX);
    for count in [6, 6] {
        sender.send_packets(start(), count);
        sender.flows.transmitter.burst = 0;
    }
    assert_eq!(sender.flows.take_work(), 0);
    // Twice 12 fragments, and the beginning.
    sender.ack(start(), 12, &[]);
    assert_eq!((sender.flows.take_work(), sender.flows.take_work()), (4, 0));
    sender.ack(start(), 12, &[(14, 14)]);
    assert_eq!(sender.flows.take_work(), 1);
}
