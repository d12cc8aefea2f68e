//! introd: an RTMFP introducer. This library holds everything the `introd` program is made of.

pub mod apps;
pub mod cli;
pub mod client;
pub mod config;
pub mod flash;
pub mod groups;
pub mod introducer;
pub mod net;
pub mod peer;
pub mod policy;
pub mod record;
pub mod registry;
pub mod server;
