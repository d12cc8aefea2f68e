//! The events of flows, and the ids that they use.

/// A flow that this end sends on: its flow identifier, never used twice in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SendFlowId(pub u64);

/// A flow that the far end sends on: its flow identifier, chosen by the far end, which may use it again long after the flow
/// has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecvFlowId(pub u64);

/// A message queued in one sending flow: counts from 0 in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u64);

/// How a receiving flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowEnd {
    /// The far end closed it, and everything is delivered.
    Complete {
        /// The far end gave up messages after the last one delivered.
        gap: bool,
    },
    /// This end rejected it because the far end broke a rule or a limit: an option that must be understood and is not
    /// (RFC 7016 §3.6.3.2), a message over the limit.
    Refused,
}

/// Something that the application should know. Events come in the order in which they happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowEvent {
    /// The far end opened a flow (§3.6.3.1). It is accepted unless [`super::Flows::reject`] is called.
    Opened {
        /// The flow.
        flow: RecvFlowId,
        /// The name the far end gave it.
        metadata: Vec<u8>,
        /// The flow of this end that it answers.
        return_of: Option<SendFlowId>,
    },
    /// A whole message (§3.6.3.3).
    Message {
        /// The flow.
        flow: RecvFlowId,
        /// Of its first fragment: ascends with the order in which the far end queued messages, with gaps.
        sequence_number: u64,
        /// The message.
        data: Vec<u8>,
        /// The far end has given up what came before this message (§3.6.1.2). In [`super::Order::Arrival`]: it has given something up
        /// since the message before was delivered; where in the flow is not said.
        gap: bool,
    },
    /// A receiving flow has ended; no more events for it. Not sent for a flow that the application itself rejected.
    Ended {
        /// The flow.
        flow: RecvFlowId,
        /// How.
        end: FlowEnd,
    },
    /// The far end rejected a flow of this end (§3.6.2.10): the flow is closing, and nothing queued in it will arrive.
    Rejected {
        /// The flow.
        flow: SendFlowId,
        /// The reason: 0 when the protocol itself rejected it, else the far application's choice.
        exception: u64,
    },
    /// A sending flow that returned [`super::FlowError::Full`] has room again.
    Writable {
        /// The flow.
        flow: SendFlowId,
    },
    /// All of a message has been acknowledged; told only if [`super::Delivery::notify`] asked for it.
    Delivered {
        /// The flow.
        flow: SendFlowId,
        /// The message.
        message: MessageId,
    },
    /// A message was given up by its [`super::Delivery`] rules.
    Dropped {
        /// The flow.
        flow: SendFlowId,
        /// The message.
        message: MessageId,
    },
    /// A closed flow of this end is complete: the far end has acknowledged all of it (§3.6.2.11).
    Closed {
        /// The flow.
        flow: SendFlowId,
    },
}
