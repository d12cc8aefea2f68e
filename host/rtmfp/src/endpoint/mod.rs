//! The endpoint: datagrams and time in, datagrams and events out.
//!
//! `state` is what an endpoint holds, `driving` what its driver calls, `datagrams` the way of a datagram; `initiator`, `responder` and
//! `keying` open sessions, `lookup` introduces (`reading_ahead` makes that faster), `turning_away` turns initiators away, and `application` is what an application does with its sessions.

mod application;
mod buffered;
mod datagrams;
mod driving;
mod forward_shares;
mod handover;
mod index;
mod initiator;
mod keying;
mod lookup;
mod occupant;
mod reading_ahead;
mod responder;
mod slots;
mod standstill;
mod state;
mod timers;
mod turning_away;

#[cfg(test)]
mod tests;

pub use application::SessionInfo;
pub use handover::PreparedSession;
pub use state::Endpoint;
