//! introd: an RTMFP introducer. This library holds everything the `introd` program is made of.

// What serves must not wait for a terminal or a pipe: it says what it has to say through `log`.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]
// `unsafe` is denied in the whole workspace; only `memory.rs` allows one call.

pub mod apps;
pub mod cli;
pub mod groups;
pub mod introducer;
mod memory;
pub mod record;
pub mod registry;
pub mod serve;
pub mod server;
