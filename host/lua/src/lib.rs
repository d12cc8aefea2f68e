//! Scripts in Lua.

mod address;
mod application;
mod checking;
mod client;
mod clients;
mod dispatch;
mod expando;
mod failure;
mod group_control;
mod group_specifier;
mod handle;
mod host;
mod inbox;
mod journal;
mod ledger;
mod limits;
mod line;
mod loading;
mod lookup_event;
mod memory;
mod natives;
mod opaque;
mod pattern;
mod questions;
mod roster;
mod runtime;
mod schedule;
mod script_files;
mod shared_registry;
mod state;
pub mod testing;
#[cfg(test)]
mod tests;
mod thread;
mod timers;
mod values;
mod vm;
mod watchdog;
mod world;

pub use checking::check;
pub use failure::Failure;
pub use handle::{ScriptHandle, ScriptState};
pub use host::{Host, HostSettings, ScriptError};
pub use inbox::Full;
pub use script_files::ScriptFiles;
