//! The one public entry: datagrams and time in, datagrams and events out.

mod application;
mod buffered;
mod counters;
mod datagrams;
mod driving;
mod forward_shares;
mod index;
mod initiator;
mod keying;
mod lookup;
mod occupant;
mod responder;
mod slots;
mod standstill;
mod state;
mod timers;

pub use application::SessionInfo;
pub use counters::Counters;
pub use state::Endpoint;
