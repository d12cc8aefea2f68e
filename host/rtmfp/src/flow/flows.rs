//! All flows of a session, and what an application does with them.

use std::sync::Arc;
use std::time::Instant;

use thin_vec::ThinVec;

use super::acks::Acknowledging;
use super::config::FlowConfig;
use super::error::FlowError;
use super::event::{FlowEvent, MessageId, RecvFlowId, SendFlowId};
use super::event_queue::EventQueue;
use super::flow_list::FlowList;
use super::lingering::Lingering;
use super::options::{Delivery, FlowOptions, Order};
use super::recv::{LastReceived, RecvFlow};
use super::send::SendFlow;
use super::transmitter::{LongChunks, Transmitter};
use crate::wire::chunk::{metadata_option, return_association_option};

/// All flows of one session.
#[derive(Debug)]
pub struct Flows {
    pub(super) config: Arc<FlowConfig>,
    /// F_OPEN and F_CLOSING flows, ascending by id. F_COMPLETE_LINGER needs no state: no id is used again.
    pub(super) sending: FlowList<SendFlow>,
    /// RF_OPEN and RF_REJECTED flows, and complete ones with messages not delivered; ascending by id.
    pub(super) receiving: FlowList<RecvFlow>,
    /// RF_COMPLETE_LINGER, the oldest first.
    pub(super) lingering: ThinVec<Lingering>,
    pub(super) events: EventQueue,
    /// Bytes in the buffers of `receiving`.
    pub(super) buffered: usize,
    pub(super) next_id: u64,
    pub(super) acks: Acknowledging,
    pub(super) transmitter: Transmitter,
    /// The User Data chunk that a Next User Data chunk would follow.
    pub(super) preceding: Option<LastReceived>,
}

/// How many steps a new receiving flow counts as.
pub(super) const STEPS_OF_FLOW: u32 = 320;
/// How many steps make a unit of work: see [`Endpoint::charge`](crate::Endpoint::charge).
const STEPS_PER_UNIT: u32 = 8;

impl Flows {
    /// No flows yet.
    pub fn new(config: Arc<FlowConfig>) -> Self {
        let controller = (config.congestion)();
        Self {
            config,
            sending: FlowList::None,
            receiving: FlowList::None,
            lingering: ThinVec::new(),
            events: EventQueue::default(),
            buffered: 0,
            next_id: 1,
            acks: Acknowledging::default(),
            transmitter: Transmitter::new(controller),
            preceding: None,
        }
    }

    /// Opens a sending flow (§3.6.2.1). The far end learns of it with its first message.
    pub fn open(&mut self, metadata: &[u8], options: FlowOptions) -> Result<SendFlowId, FlowError> {
        if metadata.len() > self.config.max_metadata() {
            return Err(FlowError::MetadataTooLong);
        }
        if self.sending.len() >= self.config.max_sending {
            return Err(FlowError::TooManyFlows);
        }
        let mut startup = Vec::with_capacity(metadata.len() + 8);
        // The metadata first: librtmfp reads it by position, and looks for the return association right after it.
        metadata_option(metadata, &mut startup);
        if let Some(RecvFlowId(flow)) = options.return_of {
            if !self.recv_flow(flow).is_some_and(|flow| flow.is_open()) {
                return Err(FlowError::ReturnNotOpen);
            }
            return_association_option(flow, &mut startup);
        }
        let id = self.next_id;
        self.next_id += 1;
        self.sending.push(SendFlow::new(id, options.priority, options.time_critical, startup.as_slice().into()));
        Ok(SendFlowId(id))
    }

    /// Lets the far end know of a flow before there is a message for it (§3.6.2.1).
    pub fn begin(&mut self, flow: SendFlowId) -> Result<(), FlowError> {
        self.open_send_flow(flow)?.queue_mut().push_abandoned();
        Ok(())
    }

    /// Queues a message (§3.6.2.2).
    pub fn send(
        &mut self,
        flow: SendFlowId,
        message: impl Into<Vec<u8>>,
        delivery: Delivery,
    ) -> Result<MessageId, FlowError> {
        let (most, limit) = (self.config.max_message, self.config.send_buffer);
        let session_limit = self.config.session_send_buffer;
        let session_queued = self.session_queued();
        let flow = self.open_send_flow(flow)?;
        let message = message.into();
        if message.len() > most || u32::try_from(message.len()).is_err() {
            return Err(FlowError::MessageTooLong);
        }
        let queued = flow.queued();
        let is_over = |queued: usize, limit: usize| queued > 0 && queued + message.len() > limit;
        if is_over(queued, limit) || is_over(session_queued, session_limit) {
            flow.wants_room = true;
            return Err(FlowError::Full);
        }
        Ok(flow.queue_mut().push(message, delivery))
    }

    /// Gives a queued message up (§3.6.2.7); false if it is delivered or given up already. There is no event for it.
    pub fn abandon(&mut self, flow: SendFlowId, MessageId(message): MessageId) -> bool {
        self.send_flow_mut(flow.0).is_some_and(|flow| flow.abandon(message))
    }

    /// Closes a sending flow (§3.6.2.11): what is queued is still delivered, then [`FlowEvent::Closed`] comes.
    pub fn close(&mut self, flow: SendFlowId) {
        if let Some(flow) = self.send_flow_mut(flow.0) {
            flow.close();
        }
    }

    /// Bytes queued in a sending flow and not acknowledged, with 64 per message.
    pub fn bytes_queued(&self, flow: SendFlowId) -> usize {
        self.send_flow(flow.0).map_or(0, |flow| flow.queued())
    }

    /// Bytes queued in all sending flows.
    pub(super) fn session_queued(&self) -> usize {
        self.sending.iter().map(|flow| flow.queued()).sum()
    }

    /// Bytes of messages that the flows hold, both ways, and of what is kept about fragments that are not done with.
    pub fn bytes_held(&self) -> usize {
        self.sending.iter().map(|flow| flow.bytes_held()).sum::<usize>() + self.bytes_buffered()
    }

    /// Reads a little of each part that an idle session's flows are asked about when something else is sent: of the cache lines that they
    /// stand in.
    pub(crate) fn read_ahead(&self) -> impl Sized + use<> {
        (self.bytes_held(), self.next_id, self.acks.is_due(), self.transmitter.outstanding, self.transmitter.alarm)
    }

    /// Since when the far end has acknowledged nothing on one of the flows, although something was sent on it, or is queued while the
    /// far end has no room.
    pub fn unacknowledged_since(&self) -> Option<Instant> {
        self.sending.iter().filter_map(|flow| flow.unacknowledged_since()).min()
    }

    /// Bytes that receiving flows hold: parts of messages, and messages that wait for the application, with 64 each.
    pub fn bytes_buffered(&self) -> usize {
        self.buffered + self.events.bytes()
    }

    /// The flow takes messages.
    pub fn is_open(&self, flow: SendFlowId) -> bool {
        self.send_flow(flow.0).is_some_and(|flow| !flow.closing)
    }

    /// Bytes of user data chunks outstanding in the network (S_OUTSTANDING_BYTES).
    pub fn bytes_outstanding(&self) -> usize {
        self.transmitter.outstanding()
    }

    /// The congestion window, in bytes (§3.5.2).
    pub fn congestion_window(&self) -> usize {
        self.transmitter.window()
    }

    /// No flow has anything to send or to wait for an acknowledgement of.
    pub fn is_idle(&self) -> bool {
        self.sending.iter().all(|flow| flow.is_idle())
    }

    /// Rejects a receiving flow, telling the far end why (§3.6.3.7). No more events come for it.
    pub fn reject(&mut self, flow: RecvFlowId, exception: u64) {
        let rejected = self.with_recv_flow(flow.0, |flow, _, events| {
            if flow.is_open() {
                flow.reject(exception, true, events);
                return true;
            }
            // Complete: there is nothing left to reject, but perhaps to forget.
            flow.discard();
            false
        });
        if let Some(rejected) = rejected {
            if rejected {
                self.acks.demand();
            }
            self.retire(flow.0);
            self.events.drop_messages_of(flow);
        }
    }

    /// Chooses the order of delivery of a receiving flow.
    pub fn set_order(&mut self, flow: RecvFlowId, order: Order) {
        self.with_recv_flow(flow.0, |flow, _, events| flow.set_order(order, events));
    }

    /// Holds a receiving flow's messages back (§3.6.3.3). Its buffer fills, and then the far end has to wait. Messages for which there
    /// are events already still come.
    pub fn pause(&mut self, flow: RecvFlowId) {
        self.with_recv_flow(flow.0, |flow, _, _| flow.pause());
    }

    /// Ends [`Self::pause`].
    pub fn resume(&mut self, flow: RecvFlowId) {
        let opened = self.with_recv_flow(flow.0, |flow, config, events| {
            flow.resume(events);
            let opened = flow.window_opened(config);
            flow.should_ack |= opened;
            opened
        });
        if opened == Some(true) {
            self.acks.demand();
        }
        self.retire(flow.0);
    }

    /// The units of work done for what the far end sent, besides those that each chunk makes, since this was last asked.
    pub(crate) fn take_work(&mut self) -> u32 {
        std::mem::take(&mut self.transmitter.steps).div_ceil(STEPS_PER_UNIT)
    }

    /// What became of long chunks since this was last asked.
    pub(crate) fn take_long_chunks(&mut self) -> LongChunks {
        std::mem::take(&mut self.transmitter.long_chunks)
    }

    /// The next event. To be called until it returns `None`, after every call that takes `&mut self`.
    pub fn poll_event(&mut self) -> Option<FlowEvent> {
        self.events.pop()
    }
}
