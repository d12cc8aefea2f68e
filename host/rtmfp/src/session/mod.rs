//! Sessions: how they open, live and end (RFC 7016 §3.5).

pub(crate) mod budget;
pub(crate) mod forwards;
pub(crate) mod initiator;
mod mobility;
pub(crate) mod open;
pub(crate) mod responder;
mod rtt;
mod state;
pub(crate) mod used_cookies;

pub(crate) use initiator::Initiation;
pub(crate) use open::{Context, Established, Forwarded, Received, Session};
pub(crate) use state::State;
