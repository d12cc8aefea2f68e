//! A bulk transfer over TCP to compare with: RFC 5681 and RFC 6582 (NewReno), with the timeouts of RFC 6298. Both ends and the two
//! paths between them are one value; everything is counted in whole segments.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::link::Link;
use super::rng::Dice;

/// Bytes of a full segment's datagram, about as long as the packets of a session.
const SEGMENT: usize = 1190;
/// User data in it.
const PAYLOAD: usize = SEGMENT - 40;
/// Bytes of an acknowledgement.
const ACK: usize = 40;
/// RFC 5681 §3.1, for segments of this size.
const INITIAL_WINDOW: f64 = 3.0;
/// RFC 6298 §2.4.
const MIN_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_TIMEOUT: Duration = Duration::from_secs(60);
/// RFC 5681 §4.2: an acknowledgement waits for a second segment, but not for longer than this.
const ACK_DELAY: Duration = Duration::from_millis(200);
/// RFC 5681 §3.2.
const DUPLICATES_OF_A_LOSS: u32 = 3;

#[derive(Clone, Copy, Debug)]
enum Arrival {
    /// A segment, by its number.
    Segment(u64),
    /// Everything before this segment has come.
    Ack(u64),
}

/// One transfer that always has more to send.
pub(crate) struct NewReno {
    there: Link,
    back: Link,
    /// What is on its way, by the time of its arrival.
    flying: BTreeMap<(Instant, u64), Arrival>,
    flown: u64,
    sender: Sender,
    receiver: Receiver,
}

struct Sender {
    /// CWND and SSTHRESH, in segments.
    window: f64,
    threshold: f64,
    /// SND.UNA and SND.NXT, and the most that was ever sent.
    unacknowledged: u64,
    next: u64,
    highest: u64,
    duplicates: u32,
    /// RFC 6582: recovery ends when this is acknowledged.
    recover: Option<u64>,
    /// A duplicate of what was sent up to here means nothing.
    recovered: u64,
    timeout: Duration,
    /// SRTT and RTTVAR, in seconds.
    smoothed: Option<(f64, f64)>,
    alarm: Option<Instant>,
    /// The segment being timed, and since when: never one sent twice.
    timed: Option<(u64, Instant)>,
}

#[derive(Default)]
struct Receiver {
    /// RCV.NXT.
    next: u64,
    /// What came early.
    early: BTreeSet<u64>,
    /// An acknowledgement waits until then.
    delayed: Option<Instant>,
}

impl NewReno {
    /// Begins now.
    pub(crate) fn new(now: Instant, there: Link, back: Link, dice: &mut Dice) -> Self {
        let mut flow = Self {
            there,
            back,
            flying: BTreeMap::new(),
            flown: 0,
            sender: Sender {
                window: INITIAL_WINDOW,
                threshold: f64::MAX,
                unacknowledged: 0,
                next: 0,
                highest: 0,
                duplicates: 0,
                recover: None,
                recovered: 0,
                timeout: MIN_TIMEOUT,
                smoothed: None,
                alarm: None,
                timed: None,
            },
            receiver: Receiver::default(),
        };
        flow.fill(now, dice);
        flow
    }

    /// Bytes of user data that have come, in order.
    pub(crate) fn delivered(&self) -> usize {
        self.receiver.next as usize * PAYLOAD
    }

    /// When something happens next.
    pub(crate) fn next(&self) -> Option<Instant> {
        let flying = self.flying.first_key_value().map(|((at, _), _)| *at);
        [flying, self.sender.alarm, self.receiver.delayed].into_iter().flatten().min()
    }

    /// Does what happens now.
    pub(crate) fn step(&mut self, now: Instant, dice: &mut Dice) {
        if let Some(first) = self.flying.first_entry()
            && first.key().0 <= now
        {
            match first.remove() {
                Arrival::Segment(number) => self.segment(now, number, dice),
                Arrival::Ack(next) => self.acknowledged(now, next, dice),
            }
        } else if self.receiver.delayed.is_some_and(|at| at <= now) {
            self.acknowledge(now, dice);
        } else if self.sender.alarm.is_some_and(|at| at <= now) {
            self.timed_out(now, dice);
        }
    }

    fn fly(&mut self, now: Instant, what: Arrival, dice: &mut Dice) {
        let arrivals = match what {
            Arrival::Segment(_) => self.there.carry(now, SEGMENT, dice),
            Arrival::Ack(_) => self.back.carry(now, ACK, dice),
        };
        for at in arrivals.into_iter().flatten() {
            self.flown += 1;
            self.flying.insert((at, self.flown), what);
        }
    }

    // ---- the receiver

    fn segment(&mut self, now: Instant, number: u64, dice: &mut Dice) {
        let receiver = &mut self.receiver;
        let is_next = number == receiver.next;
        let had_gap = !receiver.early.is_empty();
        if number >= receiver.next {
            receiver.early.insert(number);
        }
        while receiver.early.remove(&receiver.next) {
            receiver.next += 1;
        }
        // RFC 5681 §4.2: at once for every second segment, and for anything out of order.
        if !is_next || had_gap || receiver.delayed.is_some() {
            self.acknowledge(now, dice);
        } else {
            receiver.delayed = Some(now + ACK_DELAY);
        }
    }

    fn acknowledge(&mut self, now: Instant, dice: &mut Dice) {
        self.receiver.delayed = None;
        self.fly(now, Arrival::Ack(self.receiver.next), dice);
    }

    // ---- the sender

    /// Sends what the window allows.
    fn fill(&mut self, now: Instant, dice: &mut Dice) {
        while self.sender.next - self.sender.unacknowledged < self.sender.window as u64 {
            let number = self.sender.next;
            self.sender.next += 1;
            if number >= self.sender.highest {
                self.sender.highest = number + 1;
                self.sender.timed.get_or_insert((number, now));
            }
            self.sender.alarm.get_or_insert(now + self.sender.timeout);
            self.fly(now, Arrival::Segment(number), dice);
        }
    }

    fn resend_first(&mut self, now: Instant, dice: &mut Dice) {
        self.sender.timed = None;
        self.fly(now, Arrival::Segment(self.sender.unacknowledged), dice);
    }

    fn acknowledged(&mut self, now: Instant, next: u64, dice: &mut Dice) {
        let sender = &mut self.sender;
        if next > sender.unacknowledged {
            let count = (next - sender.unacknowledged) as f64;
            sender.unacknowledged = next;
            sender.next = sender.next.max(next);
            sender.measure(now, next);
            sender.alarm = Some(now + sender.timeout);
            sender.duplicates = 0;
            match sender.recover {
                // RFC 6582 §3.2, step 3: a full acknowledgement, or a partial one.
                Some(recover) if next >= recover => {
                    sender.recover = None;
                    let in_flight = (sender.next - sender.unacknowledged) as f64;
                    sender.window = sender.threshold.min(in_flight.max(1.0) + 1.0);
                }
                Some(_) => {
                    sender.window = (sender.window - count).max(0.0) + 1.0;
                    self.resend_first(now, dice);
                }
                // RFC 5681 §3.1.
                None if sender.window < sender.threshold => sender.window += 1.0,
                None => sender.window += count / sender.window,
            }
        } else if next == sender.unacknowledged && sender.next > next {
            sender.duplicates += 1;
            if sender.recover.is_some() {
                sender.window += 1.0;
            } else if sender.duplicates == DUPLICATES_OF_A_LOSS && next >= sender.recovered {
                sender.threshold = sender.halved();
                sender.window = sender.threshold + f64::from(DUPLICATES_OF_A_LOSS);
                sender.recover = Some(sender.highest);
                sender.recovered = sender.highest;
                self.resend_first(now, dice);
            }
        }
        self.fill(now, dice);
    }

    /// RFC 6298 §5, RFC 5681 §3.1: from the first unacknowledged segment on again.
    fn timed_out(&mut self, now: Instant, dice: &mut Dice) {
        let sender = &mut self.sender;
        sender.threshold = sender.halved();
        sender.window = 1.0;
        sender.next = sender.unacknowledged;
        sender.duplicates = 0;
        sender.recover = None;
        sender.recovered = sender.highest;
        sender.timeout = (sender.timeout * 2).min(MAX_TIMEOUT);
        sender.timed = None;
        sender.alarm = None;
        self.fill(now, dice);
    }
}

impl Sender {
    fn halved(&self) -> f64 {
        ((self.next - self.unacknowledged) as f64 / 2.0).max(2.0)
    }

    /// RFC 6298 §2.
    fn measure(&mut self, now: Instant, acknowledged: u64) {
        let Some((_, since)) = self.timed.take_if(|(number, _)| *number < acknowledged) else { return };
        let rtt = (now - since).as_secs_f64();
        let (smoothed, variance) = match self.smoothed {
            Some((smoothed, variance)) => {
                (smoothed * 0.875 + rtt * 0.125, variance * 0.75 + (smoothed - rtt).abs() * 0.25)
            }
            None => (rtt, rtt / 2.0),
        };
        self.smoothed = Some((smoothed, variance));
        self.timeout = Duration::from_secs_f64(smoothed + 4.0 * variance).clamp(MIN_TIMEOUT, MAX_TIMEOUT);
    }
}
