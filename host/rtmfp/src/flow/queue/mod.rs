//! SEND_QUEUE (RFC 7016 §3.6.2), from [`push`](SendQueue::push) to the acknowledgement.

mod abandon;
mod entries;
mod handover;
mod next;
mod outstanding;
mod send_queue;

pub(super) use entries::Outcome;
pub(super) use next::{Next, Outgoing};
pub(super) use outstanding::Acknowledged;
pub(super) use send_queue::{Resume, SendQueue};
