//! The host of native plugins: shared libraries with the C ABI of the crate `introd-plugin`.
//!
//! [`Plugins`] loads the plugins that the configuration names and keeps their [`PluginInstance`]s. A [`Chain`] is those of one application,
//! in order. Verdicts that come later are named by tokens (`tokens`); they come back to the worker that waits for them by
//! [`introd_policy::Replies`].
//!
//! All that a plugin hands over is checked here and copied; what makes no sense is an error to the plugin. A plugin that writes where it
//! must not, or never returns, harms the whole process, which it is part of.
//!
//! This crate must not know Lua, sockets or the server: what plugins reach of the server comes through [`ServerAccess`]. Begin reading
//! with `plugins.rs`, then `instance.rs` for the calls into a plugin and `host_table.rs` for the calls out of it.
#![allow(unsafe_code, reason = "the boundary to plugins")]

mod account;
mod answer;
mod context;
mod crash;
mod dynamic;
mod elf;
mod entry;
mod events;
mod groups;
mod guarded;
mod host_extensions;
mod host_state;
mod host_table;
mod instance;
mod library;
mod load_error;
mod metrics;
mod plugins;
mod registry;
/// The locks and atomics of the queues and tables: the model checker puts its own in this place.
mod sync {
    pub(super) use std::sync::{Mutex, MutexGuard, PoisonError};
}
#[cfg(feature = "testing")]
mod testing;
#[cfg(test)]
mod tests;
mod timers;
mod tokens;
mod values;

pub use account::{Account, Callback};
pub use answer::PluginAnswer;
pub use events::{ConnectEvent, InstancePath, LookupEvent};
pub use groups::{GroupChange, MemberChoice};
pub use host_state::ServerAccess;
pub use instance::{PluginInstance, RegistryServer};
pub use library::Library;
pub use load_error::LoadError;
pub use metrics::PluginMetric;
pub use plugins::{Chain, Plugins, Prepared};
pub use registry::{NativeRegistry, Reconfigured};
