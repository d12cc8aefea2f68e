//! What a session has outstanding in the network, and how much it may have (RFC 7016 §3.5.2, §3.6.2.3).

use std::time::{Duration, Instant};

use super::loss::Transmissions;
use super::queue::Acknowledged;
use super::timing::Timing;
use crate::congestion::{Controller, Feedback};
use crate::datagram_size::MIN_DATAGRAM;
use crate::moment::Moment;

/// Packets with user data between acknowledgements or timeouts (§3.5.2.3).
const BURST: u8 = 6;
/// The packets that an acknowledgement is expected to cover: a receiver acknowledges every second one (§3.6.3.4.1). One that reads many
/// packets at a time and acknowledges them together sends fewer acknowledgements, and each stands for several.
const PACKETS_OF_AN_ACK: usize = 2;
/// Acknowledgements within this time of each other are one batch: a driver hands over several datagrams before it polls for any.
/// Each of them allows its packets, as if the driver had polled after each (one that covers many packets as if there had been several),
const BATCH: Duration = Duration::from_millis(2);
/// but all together allow no more than this.
const BATCH_BURST: u8 = 8 * BURST;
/// How long a Time Critical Reverse Notification counts (§3.5.2.1), and how long after sending time critical data we are "currently
/// sending" it.
const TIME_CRITICAL: Duration = Duration::from_millis(800);

/// What became of chunks longer than [`MIN_DATAGRAM`], which only longer datagrams carry, since this was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LongChunks {
    /// One was acknowledged.
    pub(crate) arrived: bool,
    /// How suspicious losses are: 1 if acknowledgements have shown that one was lost, 2 if one was not acknowledged in time.
    pub(crate) suspicion: u8,
}

impl LongChunks {
    /// A chunk of this size was acknowledged.
    pub(super) fn arrived(&mut self, size: usize) {
        self.arrived |= size > MIN_DATAGRAM;
    }

    /// A chunk of this size was lost.
    pub(super) fn lost(&mut self, size: usize) {
        self.suspicion = self.suspicion.max(u8::from(size > MIN_DATAGRAM));
    }

    /// Nothing was acknowledged in time, and this was the size of the longest chunk.
    pub(super) fn timed_out(&mut self, size: usize) {
        self.suspicion = self.suspicion.max(2 * u8::from(size > MIN_DATAGRAM));
    }
}

/// Until when reverse notification, and sending time critical data ourselves, count.
#[derive(Debug, Default)]
struct TimeCritical {
    yield_until: Option<Instant>,
    sending_until: Option<Instant>,
}

/// The acknowledgements in the packet being received.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AckPacket {
    /// Bytes that are not outstanding any more.
    acknowledged: u32,
    /// The size of the longest chunk among them.
    longest: u32,
}

impl AckPacket {
    /// For how many acknowledgements the packet stands, by the bytes that it acknowledges. Packets of many short chunks are taken for ones
    /// of the least size, so that at most twice as many are counted as there were.
    fn stands_for(&self) -> u8 {
        let packet = (self.longest as usize).max(MIN_DATAGRAM);
        u8::try_from(self.acknowledged() / (PACKETS_OF_AN_ACK * packet)).unwrap_or(u8::MAX).max(1)
    }

    /// Bytes that are not outstanding any more.
    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged as usize
    }

    fn add(&mut self, done: &Acknowledged) {
        let narrow = |bytes| u32::try_from(bytes).unwrap_or(u32::MAX);
        self.acknowledged = self.acknowledged.saturating_add(narrow(done.bytes));
        self.longest = self.longest.max(narrow(done.longest));
    }
}

/// The session's side of sending: what is outstanding, and how much may be.
#[derive(Debug)]
pub(super) struct Transmitter {
    pub(super) controller: Box<dyn Controller>,
    pub(super) transmissions: Transmissions,
    /// S_OUTSTANDING_BYTES.
    pub(super) outstanding: usize,
    /// DATA_PACKET_COUNT.
    pub(super) burst: u8,
    /// When the first acknowledgement of the present batch came, and how many packets its acknowledgements still allow.
    pub(super) batch: Option<Moment>,
    batch_left: u8,
    /// Steps made for the far end's packets, receiving flows included, since they were last taken. They stand here because there is room.
    pub(super) steps: u32,
    pub(super) long_chunks: LongChunks,
    /// TIMEOUT_ALARM.
    pub(super) alarm: Option<Moment>,
    last_data: Option<Moment>,
    /// Most sessions know nothing of time critical data.
    time_critical: Option<Box<TimeCritical>>,
    packet: Option<AckPacket>,
    /// The flow served last: the next one of its priority has its turn.
    pub(super) served: u64,
}

impl Transmitter {
    pub(super) fn new(controller: Box<dyn Controller>) -> Self {
        Self {
            controller,
            transmissions: Transmissions::default(),
            outstanding: 0,
            burst: 0,
            batch: None,
            batch_left: 0,
            steps: 0,
            long_chunks: LongChunks::default(),
            alarm: None,
            last_data: None,
            time_critical: None,
            packet: None,
            served: 0,
        }
    }

    pub(super) fn outstanding(&self) -> usize {
        self.outstanding
    }

    pub(super) fn window(&self) -> usize {
        self.controller.window()
    }

    /// The transmission budget allows user data (§3.5.2, §3.5.2.3).
    pub(super) fn may_send(&self, now: Instant) -> bool {
        let is_within_burst = self.burst < BURST || self.batch_left > 0 && self.is_in_batch(now);
        is_within_burst && self.outstanding < self.controller.window()
    }

    fn is_in_batch(&self, now: Instant) -> bool {
        self.batch.is_some_and(|began| now.saturating_duration_since(began.instant()) < BATCH)
    }

    /// There is an acknowledgement in the packet.
    pub(super) fn acknowledgement(&mut self, now: Instant) {
        if self.packet.is_some() {
            return;
        }
        self.packet = Some(AckPacket::default());
        self.burst = 0;
        if !self.is_in_batch(now) {
            (self.batch, self.batch_left) = (Some(now.into()), 0);
        }
    }

    pub(super) fn acknowledged(&mut self, done: &Acknowledged) {
        self.outstanding = self.outstanding.saturating_sub(done.bytes);
        if let Some(packet) = &mut self.packet {
            packet.add(done);
        }
        if done.newest > 0 {
            self.transmissions.acknowledged(done.newest);
        }
        self.long_chunks.arrived(done.longest);
        self.steps = self.steps.saturating_add(done.steps);
    }

    pub(super) fn lost(&mut self, bytes: usize) {
        self.outstanding = self.outstanding.saturating_sub(bytes);
    }

    /// The acknowledgements of the packet that ends, if it had any.
    pub(super) fn end_of_packet(&mut self) -> Option<AckPacket> {
        let packet = self.packet.take()?;
        let allowed = packet.stands_for().saturating_mul(BURST);
        self.batch_left = self.batch_left.saturating_add(allowed).min(BATCH_BURST);
        Some(packet)
    }

    pub(super) fn yield_from(&mut self, now: Instant) {
        self.time_critical.get_or_insert_default().yield_until = Some(now + TIME_CRITICAL);
    }

    /// §3.5.2.1.
    pub(super) fn is_yielding(&self, now: Instant) -> bool {
        let still = |until: Option<Instant>| until.is_some_and(|until| now < until);
        self.time_critical.as_ref().is_some_and(|known| still(known.yield_until) && !still(known.sending_until))
    }

    /// Tells the controller of a packet with acknowledgements, and waits for the next one (§3.6.2.6).
    pub(super) fn feedback(&mut self, timing: &Timing, feedback: &Feedback) {
        self.controller.on_feedback(feedback);
        self.alarm = self.alarm.filter(|_| self.outstanding > 0).map(|_| (timing.now + timing.erto).into());
    }

    pub(super) fn sent(&mut self, timing: &Timing, time_critical: bool) {
        self.burst = self.burst.saturating_add(1);
        self.batch_left = self.batch_left.saturating_sub(1);
        self.alarm = Some((timing.now + timing.erto).into());
        self.last_data = Some(timing.now.into());
        if time_critical {
            self.time_critical.get_or_insert_default().sending_until = Some(timing.now + TIME_CRITICAL);
        }
        self.controller.on_sent(self.outstanding);
    }

    /// After a pause, the path is not what it was.
    pub(super) fn restart_after_pause(&mut self, timing: &Timing) {
        if self.outstanding == 0
            && self.last_data.is_some_and(|last| timing.now.saturating_duration_since(last.instant()) > timing.erto)
        {
            self.controller.on_restart();
        }
    }
}
