//! RTMFP, the Secure Real-Time Media Flow Protocol (RFC 7016), with the Flash cryptography profile (RFC 7425 §4).
//!
//! The engine does no I/O: it owns no socket, no clock and no thread.

pub mod congestion;
pub mod crypto;
pub mod flow;
pub mod wire;
