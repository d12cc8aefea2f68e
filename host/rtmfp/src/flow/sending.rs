//! The session's sending flows: what a far receiver's answers do (RFC 7016 §3.6.2).

use super::error::FlowError;
use super::event::{FlowEvent, SendFlowId};
use super::flows::Flows;
use super::send;
use super::send::SendFlow;
use super::timing::Timing;
use crate::congestion::Feedback;
use crate::wire::chunk::{Ack, FlowException};

impl Flows {
    /// A Data Acknowledgement chunk (§3.6.2.4).
    pub fn on_ack(&mut self, timing: &Timing, chunk: &Ack<'_>) {
        let Ok(index) = self.sending.binary_search_by_key(&chunk.flow_id, |flow| flow.id) else { return };
        let Some(flow) = self.sending.get_mut(index) else { return };
        self.transmitter.acknowledgement(timing.now);
        flow.advertised(timing, chunk.buffer_blocks);
        let (id, events) = (flow.id, &mut self.events);
        let transmitter = &mut self.transmitter;
        let mut take = |first, last| {
            let done = flow.acknowledge(timing.now, first, last, |outcome| events.push(send::event(id, outcome)));
            transmitter.acknowledged(&done);
        };
        take(1, chunk.cumulative);
        chunk.ranges().for_each(|range| take(*range.start(), *range.end()));
        self.after_send_flow_changed(index);
    }

    /// A Flow Exception Report chunk (§3.6.2.10).
    pub fn on_exception(&mut self, _: &Timing, chunk: &FlowException) {
        let Ok(index) = self.sending.binary_search_by_key(&chunk.flow_id, |flow| flow.id) else { return };
        let Some(flow) = self.sending.get_mut(index) else { return };
        let was_open = !flow.closing;
        if flow.except() && was_open {
            let flow = SendFlowId(chunk.flow_id);
            self.events.push(FlowEvent::Rejected { flow, exception: chunk.exception });
        }
    }

    /// Ends a packet: all its chunks have been given. `time_critical_reverse` is the flag of its header: the far end is receiving
    /// time critical data from others (§2.2.4).
    pub fn on_packet_end(&mut self, timing: &Timing, time_critical_reverse: bool) {
        self.preceding = None;
        self.acks.end_of_packet();
        if time_critical_reverse {
            self.transmitter.yield_from(timing.now);
        }
        let Some(packet) = self.transmitter.end_of_packet() else { return };
        // §3.6.2.5.
        let sending = &mut self.sending;
        let verdict = self.transmitter.transmissions.end_of_packet(|transmission| {
            find(sending, transmission.flow)
                .is_some_and(|flow| flow.in_flight(transmission.sequence_number, transmission.tsn))
        });
        self.transmitter.steps = self.transmitter.steps.saturating_add(verdict.steps);
        let (mut lost, mut newest_lost, mut refused) = (0, 0, 0);
        for transmission in verdict.lost {
            let Some(flow) = find_mut(sending, transmission.flow) else { continue };
            let events = &mut self.events;
            let report = |outcome| events.push(send::event(transmission.flow, outcome));
            let what = flow.lose(timing, transmission.sequence_number, transmission.tsn, report);
            if what.by_refusal {
                refused += what.bytes;
            } else {
                self.transmitter.long_chunks.lost(what.longest);
                lost += what.bytes;
                newest_lost = newest_lost.max(transmission.tsn);
            }
        }
        let outstanding_before = self.transmitter.outstanding() + packet.acknowledged();
        self.transmitter.lost(lost + refused);
        let feedback = Feedback {
            now: timing.now,
            smoothed_rtt: timing.smoothed_rtt,
            acknowledged: packet.acknowledged(),
            lost,
            newest_lost,
            negative: verdict.nak,
            outstanding_before,
            outstanding: self.transmitter.outstanding(),
            newest_acknowledged: self.transmitter.transmissions.newest_acknowledged(),
            last_sent: self.transmitter.transmissions.last(),
            yielding: self.transmitter.is_yielding(timing.now),
        };
        self.transmitter.feedback(timing, &feedback);
    }

    pub(super) fn send_flow(&self, id: u64) -> Option<&SendFlow> {
        find(&self.sending, id)
    }

    pub(super) fn send_flow_mut(&mut self, id: u64) -> Option<&mut SendFlow> {
        find_mut(&mut self.sending, id)
    }

    pub(super) fn open_send_flow(&mut self, flow: SendFlowId) -> Result<&mut SendFlow, FlowError> {
        self.send_flow_mut(flow.0).filter(|flow| !flow.closing).ok_or(FlowError::NotOpen)
    }

    /// Tells of room in the queue, and of the end of a closed flow (§3.6.2.11).
    pub(super) fn after_send_flow_changed(&mut self, index: usize) {
        // A flow may have waited for room in the session, which others have made.
        if self.sending.iter().any(|flow| flow.wants_room)
            && self.session_queued() <= self.config.session_send_buffer / 2
        {
            for flow in self.sending.iter_mut().filter(|flow| flow.wants_room && !flow.closing) {
                if flow.queued() <= self.config.send_buffer / 2 {
                    flow.wants_room = false;
                    self.events.push(FlowEvent::Writable { flow: SendFlowId(flow.id) });
                }
            }
        }
        let Some(flow) = self.sending.get_mut(index) else { return };
        let id = SendFlowId(flow.id);
        if flow.is_complete() {
            self.sending.remove(index);
            self.events.push(FlowEvent::Closed { flow: id });
        }
    }
}

fn find(flows: &[SendFlow], id: u64) -> Option<&SendFlow> {
    flows.get(flows.binary_search_by_key(&id, |flow| flow.id).ok()?)
}

fn find_mut(flows: &mut [SendFlow], id: u64) -> Option<&mut SendFlow> {
    flows.get_mut(flows.binary_search_by_key(&id, |flow| flow.id).ok()?)
}
