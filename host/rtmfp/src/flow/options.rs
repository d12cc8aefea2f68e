//! What an application chooses for a flow or a message.

use std::time::Instant;

use super::event::RecvFlowId;

/// Which sending flow goes first when the transmission budget is short: a higher one always does; equal ones take turns
/// (RFC 7016 §3.6.2.3 leaves this open).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Priority {
    Background,
    Low,
    #[default]
    Normal,
    High,
    Highest,
}

/// In which order a receiving flow's messages are delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As the far end queued them; a message waits for those before it, until they have come or are given up.
    #[default]
    Original,
    /// As soon as they are complete.
    Arrival,
}

/// How to open a flow.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlowOptions {
    /// The far end's flow that the new one answers (§3.6.1.1).
    pub return_of: Option<RecvFlowId>,
    /// Its share of the budget.
    pub priority: Priority,
    /// It carries real-time data: its packets are marked (§2.2.4).
    pub time_critical: bool,
}

/// How hard to try to deliver a message (§3.6.2.7). By default: until it is delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Give the message up if none of it has been sent by then.
    pub start_by: Option<Instant>,
    /// Give the message up if not all of it has been acknowledged by then.
    pub finish_by: Option<Instant>,
    /// Give the message up as soon as a part of it is lost.
    pub send_once: bool,
    /// Tell when all of it has been acknowledged ([`super::FlowEvent::Delivered`]).
    pub notify: bool,
}
