//! The session's receiving flows: what the chunks of a far sender do (RFC 7016 §3.6.3).

use super::acks::AckTiming;
use super::config::FlowConfig;
use super::event::{FlowEvent, RecvFlowId, SendFlowId};
use super::flows::{Flows, STEPS_OF_FLOW};
use super::recv::{LastReceived, RecvFlow, Room};
use super::timing::Timing;
use crate::wire::chunk::{BufferProbe, NextUserData, UserData, UserDataOptions};

impl Flows {
    /// A User Data chunk (§3.6.3.2).
    pub fn on_user_data(&mut self, timing: &Timing, chunk: &UserData<'_>) {
        self.preceding = Some(LastReceived::new(chunk));
        let known = self.receiving.binary_search_by_key(&chunk.flow_id, |flow| flow.id);
        // A flow is in one of the lists; this one is searched from its beginning, and seldom.
        if known.is_err() {
            self.transmitter.steps = self.transmitter.steps.saturating_add(self.lingering.len() as u32 / 4);
            if let Some(lingering) = self.lingering.iter_mut().find(|lingering| lingering.id == chunk.flow_id) {
                lingering.should_ack = true;
                return self.acks.data(timing.now, AckTiming::Now);
            }
        }
        let options = match chunk.fragment.options.map(UserDataOptions::parse) {
            None => UserDataOptions::default(),
            Some(Ok(options)) => options,
            Some(Err(_)) => return,
        };
        let index = match known {
            Ok(index) => index,
            Err(index) => {
                self.transmitter.steps = self.transmitter.steps.saturating_add(STEPS_OF_FLOW);
                if self.receiving.len() >= self.config.max_receiving {
                    return;
                }
                self.receiving.insert(index, RecvFlow::new(chunk.flow_id));
                self.start(index, &options);
                self.acks.demand();
                index
            }
        };
        self.receive(timing, index, &options, chunk);
    }

    /// A Next User Data chunk: the fragment after the one before it in the packet (§2.3.12). Ignored if there is none.
    pub fn on_next_user_data(&mut self, timing: &Timing, chunk: &NextUserData<'_>) {
        if let Some(chunk) = self.preceding.and_then(|preceding| preceding.followed_by(chunk)) {
            self.on_user_data(timing, &chunk);
        }
    }

    /// Starts a receiving flow (§3.6.3.1).
    fn start(&mut self, index: usize, options: &UserDataOptions<'_>) {
        let return_of = options.return_association.map(SendFlowId);
        let associated = return_of.is_none_or(|flow| self.is_open(flow));
        let Some(flow) = self.receiving.get_mut(index) else { return };
        match options.metadata {
            Some(metadata) if associated && options.unsupported.is_none() => {
                flow.announce();
                let flow = RecvFlowId(flow.id);
                self.events.push(FlowEvent::Opened { flow, metadata: metadata.to_vec(), return_of });
            }
            _ => flow.reject(0, false, &mut |_| ()),
        }
    }

    fn receive(&mut self, timing: &Timing, index: usize, options: &UserDataOptions<'_>, chunk: &UserData<'_>) {
        let used = self.buffered + self.events.bytes();
        let limit = self.config.session_receive_buffer;
        let room = Room {
            within: limit.saturating_sub(used),
            at_most: limit.saturating_add(self.config.max_message).saturating_sub(used),
        };
        let received = self.with_recv_flow_at(index, |flow, config, events| {
            if flow.is_open() && options.unsupported.is_some() {
                flow.reject(0, false, events);
            }
            let received = flow.receive(timing.now, config, room, chunk, events);
            if !received.over_limit {
                return received.ack;
            }
            flow.reject(0, false, events);
            // A rejected flow's numbers are acknowledged like those of any other (§3.6.1.3).
            flow.receive(timing.now, config, room, chunk, events).ack
        });
        let Some(received) = received else { return };
        self.acks.data(timing.now, received);
        // A fragment that completes a flow is acknowledged at once.
        if received == AckTiming::Now {
            self.retire(chunk.flow_id);
        }
    }

    /// A Buffer Probe chunk (§3.6.3.6).
    pub fn on_buffer_probe(&mut self, _: &Timing, chunk: &BufferProbe) {
        let found = if let Some(lingering) = self.lingering.iter_mut().find(|flow| flow.id == chunk.flow_id) {
            lingering.should_ack = true;
            true
        } else {
            self.with_recv_flow(chunk.flow_id, |flow, _, _| flow.should_ack = true).is_some()
        };
        if found {
            self.acks.demand();
        }
    }

    pub(super) fn recv_flow(&self, id: u64) -> Option<&RecvFlow> {
        self.receiving.get(self.receiving.binary_search_by_key(&id, |flow| flow.id).ok()?)
    }

    /// Changes a receiving flow, keeping count of what is buffered.
    pub(super) fn with_recv_flow<T>(
        &mut self,
        id: u64,
        change: impl FnOnce(&mut RecvFlow, &FlowConfig, &mut dyn FnMut(FlowEvent)) -> T,
    ) -> Option<T> {
        let index = self.receiving.binary_search_by_key(&id, |flow| flow.id).ok()?;
        self.with_recv_flow_at(index, change)
    }

    fn with_recv_flow_at<T>(
        &mut self,
        index: usize,
        change: impl FnOnce(&mut RecvFlow, &FlowConfig, &mut dyn FnMut(FlowEvent)) -> T,
    ) -> Option<T> {
        let flow = self.receiving.get_mut(index)?;
        let before = flow.buffered();
        let events = &mut self.events;
        let result = change(flow, &self.config, &mut |event| events.push(event));
        self.buffered = self.buffered + flow.buffered() - before;
        Some(result)
    }

    /// Turns a flow that is complete and delivered into what is to be remembered of it (§3.6.3.8).
    pub(super) fn retire(&mut self, id: u64) {
        let Ok(index) = self.receiving.binary_search_by_key(&id, |flow| flow.id) else { return };
        if let Some(remains) = self.receiving.get(index).and_then(RecvFlow::remains) {
            self.receiving.remove(index);
            if self.lingering.len() >= self.config.max_lingering.max(1) {
                self.lingering.remove(0);
            }
            self.lingering.push(remains);
        }
    }
}
