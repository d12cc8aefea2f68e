//! introd: an RTMFP introducer. This library holds everything the `introd` program is made of.
//!
//! It joins the crates below it: the protocol, the sockets, the configuration, who decides, and the hosts of scripts and plugins. Who
//! decides is not in here, but in `introd_policy::decision`; `serve` carries it out. `ARCHITECTURE.md` at the top of the repository is the map
//! of the code, with the threads and the way of a lookup and of a connect. Begin reading there, then in `server` and `serve/worker.rs`.

// What serves must not wait for a terminal or a pipe: it says what it has to say through `log`.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]
// `unsafe` is denied in the whole workspace; only `memory` allows a few calls.

pub mod admin;
pub mod apps;
pub mod cli;
mod diagnostics;
pub mod groups;
pub mod http_requests;
pub mod introducer;
pub mod meetings;
mod memory;
pub mod netconnections;
pub mod network;
pub mod record;
pub mod registry;
pub mod relay;
pub mod serve;
pub mod server;
pub mod service_manager;
pub mod stories;
pub mod takeover;
