//! RTMP messages on RTMFP flows (RFC 7425 §5).
//!
//! Nothing here does I/O or knows the engine: flows are numbers, messages are slices. [`server::NetConnection`] is the
//! server's end of one client's connection; [`client`] makes and reads what a client sends and gets.

pub mod amf;
pub mod barrier;
pub mod client;
pub mod command;
pub mod message;
pub mod metadata;
pub mod peer;
pub mod peer_info;
pub mod server;
pub mod uri;
pub mod user_control;
