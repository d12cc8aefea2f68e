//! Open sessions: how they live and end (RFC 7016 §3.5).
//!
//! `open` is what is kept of a session, `receiving` and `sending` are the ways of its packets, `due` its timers.

pub(crate) mod budget;
mod closing;
mod context;
mod control;
mod due;
mod keepalive;
mod mobility;
mod open;
mod oversized;
mod path_mtu;
mod ping;
mod probing;
mod receiving;
mod rtt;
mod sending;
mod state;

pub(crate) use context::{Context, Forwarded, Sending};
pub(crate) use control::SpareBuffers;
pub(crate) use open::{Established, Session};
pub(crate) use receiving::Received;
