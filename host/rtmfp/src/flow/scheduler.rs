//! What goes into the next packet, and when (RFC 7016 §3.6.2.3, §3.6.2.6, §3.6.3.4, §3.5.2).

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use super::loss::Transmissions;
use super::send::{self, Preceding, Put};
use super::{Flows, Timing};
use crate::congestion::{Controller, Feedback};

/// Packets with user data between acknowledgements or timeouts (§3.5.2.3).
const BURST: u8 = 6;
/// Acknowledgements within this time of each other are one batch: a driver hands several datagrams over before it asks for any.
/// Each of them allows its packets, as if the driver had asked after each,
const BATCH: Duration = Duration::from_millis(2);
/// but all together allow no more than this.
const BATCH_BURST: u8 = 8 * BURST;
/// How long a Time Critical Reverse Notification counts (§3.5.2.1), and how long after sending time critical data we are "currently
/// sending" it.
const TIME_CRITICAL: Duration = Duration::from_millis(800);

/// What [`Flows::fill`] put into a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// Chunks were added.
    pub anything: bool,
    /// There is user data among them: the far end will acknowledge the packet.
    pub has_data: bool,
    /// There is time critical data among them: the packet's header is to say so (§2.2.4).
    pub time_critical: bool,
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
    pub(super) acknowledged: usize,
}

/// The session's side of sending: what is outstanding, and how much may be.
#[derive(Debug)]
pub(super) struct Transmitter {
    controller: Box<dyn Controller>,
    pub(super) transmissions: Transmissions,
    /// S_OUTSTANDING_BYTES.
    outstanding: usize,
    /// DATA_PACKET_COUNT.
    burst: u8,
    /// When the first acknowledgement of the present batch came, and how many packets its acknowledgements still allow.
    batch: Option<Instant>,
    batch_left: u8,
    /// Work done for the far end's packets, receiving flows included, since it was last asked for: it stands where there is room.
    pub(super) steps: u32,
    /// TIMEOUT_ALARM.
    alarm: Option<Instant>,
    last_data: Option<Instant>,
    /// Most sessions know nothing of time critical data.
    time_critical: Option<Box<TimeCritical>>,
    packet: Option<AckPacket>,
    /// The flow served last: the next one of its priority has its turn.
    served: u64,
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
    fn may_send(&self, now: Instant) -> bool {
        let is_within_burst = self.burst < BURST || self.batch_left > 0 && self.is_in_batch(now);
        is_within_burst && self.outstanding < self.controller.window()
    }

    fn is_in_batch(&self, now: Instant) -> bool {
        self.batch.is_some_and(|began| now.saturating_duration_since(began) < BATCH)
    }

    /// There is an acknowledgement in the packet.
    pub(super) fn acknowledgement(&mut self, now: Instant) {
        if self.packet.is_some() {
            return;
        }
        self.packet = Some(AckPacket::default());
        self.burst = 0;
        if !self.is_in_batch(now) {
            (self.batch, self.batch_left) = (Some(now), 0);
        }
        self.batch_left = (self.batch_left + BURST).min(BATCH_BURST);
    }

    pub(super) fn acknowledged(&mut self, bytes: usize, newest: u64) {
        self.outstanding = self.outstanding.saturating_sub(bytes);
        if let Some(packet) = &mut self.packet {
            packet.acknowledged += bytes;
        }
        if newest > 0 {
            self.transmissions.acknowledged(newest);
        }
    }

    pub(super) fn lost(&mut self, bytes: usize) {
        self.outstanding = self.outstanding.saturating_sub(bytes);
    }

    /// The acknowledgements of the packet that ends, if it had any.
    pub(super) fn end_of_packet(&mut self) -> Option<AckPacket> {
        self.packet.take()
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
        self.alarm = self.alarm.filter(|_| self.outstanding > 0).map(|_| timing.now + timing.erto);
    }

    fn sent(&mut self, timing: &Timing, filled: &Filled) {
        self.burst = self.burst.saturating_add(1);
        self.batch_left = self.batch_left.saturating_sub(1);
        self.alarm = Some(timing.now + timing.erto);
        self.last_data = Some(timing.now);
        if filled.time_critical {
            self.time_critical.get_or_insert_default().sending_until = Some(timing.now + TIME_CRITICAL);
        }
        self.controller.on_sent(self.outstanding);
    }

    /// After a pause, the path is not what it was.
    fn restart_after_pause(&mut self, timing: &Timing) {
        if self.outstanding == 0
            && self.last_data.is_some_and(|last| timing.now.saturating_duration_since(last) > timing.erto)
        {
            self.controller.on_restart();
        }
    }
}

impl Flows {
    /// [`Self::fill`] has something to put into a packet.
    pub fn wants_transmit(&self, timing: &Timing) -> bool {
        self.acks.is_due() && self.has_acks()
            || self.transmitter.may_send(timing.now) && self.sending.iter().any(|flow| flow.is_ready(&self.config))
            || self.sending.iter().any(|flow| flow.probe_at().is_some_and(|at| at <= timing.now))
    }

    fn has_acks(&self) -> bool {
        self.receiving.iter().any(|flow| flow.should_ack) || self.lingering.iter().any(|flow| flow.should_ack)
    }

    /// Appends chunks to a packet that may be `limit` bytes long. The packet is then to be sent.
    ///
    /// If nothing is added, there is nothing to send now, or no space for it. A packet with nothing else in it has to offer
    /// [`super::FlowConfig::packet_payload`] bytes, else a fragment may never fit.
    pub fn fill(&mut self, timing: &Timing, out: &mut Vec<u8>, limit: usize) -> Filled {
        self.expire(timing.now);
        let mut filled = Filled::default();
        let data = self.transmitter.may_send(timing.now) && self.sending.iter().any(|flow| flow.is_ready(&self.config));
        if self.acks.is_due() || data {
            filled.anything |= self.put_acks(out, limit);
        }
        for flow in &mut self.sending {
            filled.anything |= flow.put_probe(timing, out, limit);
        }
        if data {
            self.transmitter.restart_after_pause(timing);
            self.put_data(timing.now, out, limit, &mut filled);
            if filled.has_data {
                filled.anything = true;
                self.transmitter.sent(timing, &filled);
            }
        }
        filled
    }

    /// Puts all acknowledgements that are ready and fit (§3.6.3.4.5, §3.6.3.4.6).
    fn put_acks(&mut self, out: &mut Vec<u8>, limit: usize) -> bool {
        let room = self.config.session_receive_buffer.saturating_sub(self.buffered + self.undelivered);
        let mut any = false;
        let mut all = true;
        for flow in self.receiving.iter_mut().filter(|flow| flow.should_ack) {
            // §3.6.3.4.2: only the first is worth shortening.
            let put = flow.put_ack(&self.config, room, out, limit, !any && self.acks.is_due());
            any |= put;
            all &= put;
        }
        for flow in self.lingering.iter_mut().filter(|flow| flow.should_ack) {
            let put = flow.put_ack(&self.config, out, limit);
            any |= put;
            all &= put;
        }
        if all {
            self.acks.all_sent();
        }
        any
    }

    /// Puts fragments, of the flow with the highest priority first, as long as there is space and budget (§3.6.2.3).
    fn put_data(&mut self, now: Instant, out: &mut Vec<u8>, limit: usize, filled: &mut Filled) {
        let mut preceding: Option<Preceding> = None;
        while let Some(index) = self.next_flow() {
            let Some(flow) = self.sending.get_mut(index) else { return };
            let (id, events) = (flow.id, &mut self.events);
            while self.transmitter.outstanding < self.transmitter.window() && flow.is_ready(&self.config) {
                let report = |outcome| events.push_back(send::event(id, outcome));
                match flow.put(&self.config, &mut preceding, out, limit, report) {
                    Put::Chunk { number, size } => {
                        let tsn = self.transmitter.transmissions.sent(id, number);
                        flow.sent(now, number, tsn, size);
                        self.transmitter.outstanding += size;
                        self.transmitter.served = id;
                        filled.has_data = true;
                        filled.time_critical |= flow.time_critical;
                    }
                    Put::NoSpace => return,
                    // There only seemed to be something; `is_ready` knows better now.
                    Put::Nothing => break,
                }
            }
            if self.transmitter.outstanding >= self.transmitter.window() {
                return;
            }
        }
    }

    /// The flow whose turn it is.
    fn next_flow(&self) -> Option<usize> {
        let served = self.transmitter.served;
        let ready = self.sending.iter().enumerate().filter(|(_, flow)| flow.is_ready(&self.config));
        ready.min_by_key(|(_, flow)| (Reverse(flow.priority), flow.id <= served, flow.id)).map(|(index, _)| index)
    }

    /// Gives up messages that are too late (§3.6.2.7).
    fn expire(&mut self, now: Instant) {
        for index in (0..self.sending.len()).rev() {
            let Some(flow) = self.sending.get_mut(index) else { return };
            if flow.deadline().is_none_or(|deadline| now < deadline) {
                continue;
            }
            let (id, events) = (flow.id, &mut self.events);
            flow.expire(now, |outcome| events.push_back(send::event(id, outcome)));
            self.after_send_flow_changed(index);
        }
    }

    /// When [`Self::on_timeout`] is to be called. To be asked again after every call that takes `&mut self`.
    pub fn next_timeout(&self) -> Option<Instant> {
        let flows = self.sending.iter().flat_map(|flow| [flow.deadline(), flow.probe_at(), flow.held_until()]);
        let lingering = self.lingering.first().map(|flow| flow.until);
        flows.chain([self.acks.timeout(), self.transmitter.alarm, lingering]).flatten().min()
    }

    /// Does what is due. True if transmissions timed out: the session then backs its ERTO off (§3.5.2.2, §3.6.2.6).
    pub fn on_timeout(&mut self, timing: &Timing) -> bool {
        let now = timing.now;
        self.acks.on_timeout(now);
        self.expire(now);
        self.sending.iter_mut().for_each(|flow| flow.release(now));
        let gone = self.lingering.iter().take_while(|flow| flow.until <= now).count();
        self.lingering.drain(..gone);
        if self.lingering.is_empty() {
            self.lingering = Vec::new();
        }
        if self.transmitter.alarm.is_none_or(|alarm| now < alarm) {
            return false;
        }
        self.transmitter.alarm = None;
        (self.transmitter.burst, self.transmitter.batch) = (0, None);
        let outstanding = std::mem::take(&mut self.transmitter.outstanding);
        let mut was_loss = false;
        for flow in &mut self.sending {
            let (id, events) = (flow.id, &mut self.events);
            let lost = flow.lose_all(timing, |outcome| events.push_back(send::event(id, outcome)));
            was_loss |= lost.bytes > 0 && !lost.by_refusal;
        }
        self.transmitter.transmissions.clear();
        let last_sent = self.transmitter.transmissions.last();
        self.transmitter.controller.on_timeout(if was_loss { outstanding } else { 0 }, last_sent);
        was_loss
    }
}
