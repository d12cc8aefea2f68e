//! What goes into the next packet, and when (RFC 7016 §3.6.2.3, §3.6.2.6, §3.6.3.4, §3.5.2).

use std::cmp::Reverse;
use std::time::Instant;

use super::flows::Flows;
use super::send;
use super::send::Room;
use super::send::{LastPut, Put};
use super::timing::Timing;
use crate::moment::Moment;

/// What [`Flows::fill`] put into a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// Chunks were added.
    pub anything: bool,
    /// There is user data among them: the far end will acknowledge the packet.
    pub has_data: bool,
    /// There is time critical data among them: the packet's header is to say so (§2.2.4).
    pub time_critical: bool,
    /// There is more user data to send than the packet had space for.
    pub is_full: bool,
    /// The next fragment does not even fit a packet of its own: it was cut when packets were longer, or the startup options of its flow
    /// are long. It waits for a packet with more room ([`Room::is_for_one`]).
    pub is_oversized: bool,
}

impl Flows {
    /// [`Self::fill`] has something to put into a packet.
    pub fn wants_transmit(&self, timing: &Timing) -> bool {
        self.acks.is_due() && self.has_acks()
            || self.has_data(timing.now)
            || self.sending.iter().any(|flow| flow.probe_at().is_some_and(|at| at <= timing.now))
    }

    /// There is user data that may be sent. Flows are asked first: mostly they have nothing, and the congestion window stands elsewhere in
    /// memory.
    fn has_data(&self, now: Instant) -> bool {
        self.sending.iter().any(|flow| flow.is_ready(&self.config)) && self.transmitter.may_send(now)
    }

    fn has_acks(&self) -> bool {
        self.receiving.iter().any(|flow| flow.should_ack) || self.lingering.iter().any(|flow| flow.should_ack)
    }

    /// Appends chunks to a packet that may be `limit` bytes long, as [`Self::fill_room`] does. A packet with nothing else in it has to
    /// offer [`super::FlowConfig::packet_payload`] bytes, else a fragment may never fit.
    pub fn fill(&mut self, timing: &Timing, out: &mut Vec<u8>, limit: usize) -> Filled {
        let room = Room { limit, payload: self.config.packet_payload, is_for_one: false };
        self.fill_room(timing, out, &room)
    }

    /// Appends chunks to a packet. The packet is then to be sent.
    ///
    /// If nothing is added, there is nothing to send now, or no space for it.
    pub fn fill_room(&mut self, timing: &Timing, out: &mut Vec<u8>, room: &Room) -> Filled {
        let (start, limit) = (out.len(), room.limit);
        self.expire(timing.now);
        let mut filled = Filled::default();
        let data = self.has_data(timing.now);
        if self.acks.is_due() || data {
            filled.anything |= self.put_acks(out, limit);
        }
        for flow in &mut self.sending {
            filled.anything |= flow.put_probe(timing, out, limit);
        }
        if data {
            self.transmitter.restart_after_pause(timing);
            self.put_data(timing.now, out, room, &mut filled);
            filled.is_oversized = filled.is_full && out.len() == start;
            if filled.has_data {
                filled.anything = true;
                self.transmitter.sent(timing, filled.time_critical);
            }
        }
        filled
    }

    /// Puts all acknowledgements that are ready and fit (§3.6.3.4.5, §3.6.3.4.6).
    fn put_acks(&mut self, out: &mut Vec<u8>, limit: usize) -> bool {
        let room = self.config.session_receive_buffer.saturating_sub(self.buffered + self.events.bytes());
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
    fn put_data(&mut self, now: Instant, out: &mut Vec<u8>, room: &Room, filled: &mut Filled) {
        let mut preceding: Option<LastPut> = None;
        while let Some(index) = self.next_flow() {
            let Some(flow) = self.sending.get_mut(index) else { return };
            let (id, events) = (flow.id, &mut self.events);
            while self.transmitter.outstanding < self.transmitter.window() && flow.is_ready(&self.config) {
                let report = |outcome| events.push(send::event(id, outcome));
                match flow.put(&self.config, &mut preceding, out, room, report) {
                    Put::Chunk { number, size } => {
                        let tsn = self.transmitter.transmissions.sent(id, number);
                        flow.sent(now, number, tsn, size);
                        self.transmitter.outstanding += size;
                        self.transmitter.served = id;
                        filled.has_data = true;
                        filled.time_critical |= flow.time_critical;
                        if room.is_for_one {
                            return;
                        }
                    }
                    Put::NoSpace => {
                        filled.is_full = true;
                        return;
                    }
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
            flow.expire(now, |outcome| events.push(send::event(id, outcome)));
            self.after_send_flow_changed(index);
        }
    }

    /// When [`Self::on_timeout`] is to be called. To be asked again after every call that takes `&mut self`.
    pub fn next_timeout(&self) -> Option<Instant> {
        let busy = self.sending.iter().filter(|flow| !flow.is_idle());
        let flows = busy.flat_map(|flow| [flow.deadline(), flow.probe_at(), flow.held_until()]);
        let lingering = self.lingering.first().map(|flow| flow.until);
        flows.chain([self.acks.timeout(), self.transmitter.alarm.map(Moment::instant), lingering]).flatten().min()
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
            self.lingering = thin_vec::ThinVec::new();
        }
        if self.transmitter.alarm.is_none_or(|alarm| now < alarm.instant()) {
            return false;
        }
        self.transmitter.alarm = None;
        (self.transmitter.burst, self.transmitter.batch) = (0, None);
        let outstanding = std::mem::take(&mut self.transmitter.outstanding);
        let mut was_loss = false;
        for flow in &mut self.sending {
            let (id, events) = (flow.id, &mut self.events);
            let lost = flow.lose_all(timing, |outcome| events.push(send::event(id, outcome)));
            was_loss |= lost.bytes > 0 && !lost.by_refusal;
            if !lost.by_refusal {
                self.transmitter.long_chunks.timed_out(lost.longest);
            }
        }
        self.transmitter.transmissions.clear();
        let last_sent = self.transmitter.transmissions.last();
        self.transmitter.controller.on_timeout(if was_loss { outstanding } else { 0 }, last_sent);
        was_loss
    }
}
