//! introd: an RTMFP introducer. This library holds everything the `introd` program is made of.

pub mod cli;
pub mod flash;
pub mod groups;
pub mod introducer;
pub mod net;
pub mod peer;
pub mod record;
pub mod server;
