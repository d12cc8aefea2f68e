//! Flows (RFC 7016 §3.6): messages in, chunks out, and back, for one session.
//!
//! [`Flows`] has no clock and no input or output. The session hands it the chunks of each verified packet in order, ended by
//! [`Flows::on_packet_end`]; asks it to [`Flows::fill`] packets while it [`Flows::wants_transmit`]; and calls
//! [`Flows::on_timeout`] when [`Flows::next_timeout`] has come. After any of these, events are to be polled until there are none.

mod acks;
mod config;
mod error;
mod event;
mod event_queue;
mod flow_list;
mod flows;
mod handover;
mod lingering;
mod loss;
mod options;
mod queue;
mod ranges;
mod reassembly;
mod receiving;
mod recv;
mod scheduler;
mod send;
mod sending;
#[cfg(test)]
mod tests;
mod timing;
mod transmitter;

pub use config::FlowConfig;
pub use error::FlowError;
pub use event::{FlowEnd, FlowEvent, MessageId, RecvFlowId, SendFlowId};
pub use flows::Flows;
pub use options::{Delivery, FlowOptions, Order, Priority};
pub use scheduler::Filled;
pub use send::Room;
pub use timing::Timing;
pub(crate) use transmitter::LongChunks;
