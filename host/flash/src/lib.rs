//! RTMP messages on RTMFP flows (RFC 7425 §5): AMF values, commands, the NetConnection of both sides, peer info, URIs.
//!
//! For whom: the server, whose end of one client's connection is [`server::NetConnection`]; and clients, which write and read
//! messages with [`client`] and [`peer`].
//! Not in here: sockets, clocks, the engine's endpoint and sessions, and every decision. Flows are numbers, and messages are slices.
//! Begin reading with [`message`], then [`command`] and [`server`]; [`amf`] stands alone.
#![forbid(unsafe_code)]

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
