//! RTMFP, the Secure Real-Time Media Flow Protocol (RFC 7016), with the Flash cryptography profile (RFC 7425 §4).
//!
//! The engine does no I/O: it owns no socket, no clock and no thread. An [`Endpoint`] is handed datagrams and the time, and asked
//! for datagrams, events and the time of the next wake-up.

pub mod congestion;
pub mod crypto;
mod endpoint;
pub mod flow;
mod session;
pub mod wire;

pub use crypto::PeerId;
pub use endpoint::{
    CloseReason, Config, Counters, Deny, Endpoint, Event, ForwardedHello, Forwarders, InterfaceId, KeyingDone,
    KeyingJob, Lookup, MAX_PREFIXES, MAX_SLOTS, OpenFailure, RevealedKeys, SessionId, SessionInfo, Transmit, prefix_of,
};
pub use wire::{Origin, TaggedAddress};

/// A starting time for tests, which go on from there in virtual time.
#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "an Instant cannot be made up")]
pub(crate) fn test_clock() -> std::time::Instant {
    std::time::Instant::now()
}
