//! The Lua host: it runs the scripts of applications, with the names of Adobe's Server-Side ActionScript.
//!
//! A [`Host`] runs scripts on threads of its own. The server passes events to an instance by its [`ScriptHandle`], and gets verdicts and
//! commands back by [`introd_policy::message::Commands`]; neither side waits for the other. This crate must not know sockets, sessions,
//! plugins or the server: what it has to know of them is in [`introd_policy`]. Begin reading with `runtime`.
//!
//! Its rooms, each of which uses only those above it:
//!
//! - `engine`: a Lua VM whose handlers are coroutines, with limits on their time and memory; values, patterns, timers and files.
//! - `disk`: reads and watches files of applications, on a thread of its own.
//! - `instance`: what an application instance has besides its script, and keeps when the script is reloaded.
//! - `libraries`: what scripts have for computing: `json` and others.
//! - `api`: what scripts see, and a script loaded into its VM.
//! - `libraries`: what scripts see besides that: `http`, `file`.
//! - `runtime`: an instance with its script. Events become calls of handlers, without threads, sockets or a clock.
//! - `host`: the threads that instances share, their inboxes, and the watchdog.
//! - [`testing`]: runs scripts' own tests on a stage, without `host`.
#![forbid(unsafe_code)]

mod api;
mod checking;
mod disk;
mod engine;
mod host;
mod instance;
mod libraries;
mod runtime;
pub mod testing;
#[cfg(test)]
mod tests;

pub use checking::check;
pub use engine::failure::Failure;
pub use host::handle::ScriptHandle;
pub use host::inbox::Full;
pub use host::pool::HostSettings;
pub use host::script_files::ScriptFiles;
pub use host::script_host::{Host, ScriptError};
pub use host::shared::ScriptState;
pub use instance::surroundings::Surroundings;
