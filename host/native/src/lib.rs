//! Native plugins: shared libraries with the C ABI of the crate `introd-plugin`.
//!
//! [`Plugins`] loads them as the configuration says and keeps their [`Instance`]s. A [`Chain`] is what an application has of them,
//! in order. Verdicts that come later are named by tokens (`tokens`); they come back to the worker that waits for them by its
//! `completions`.
//!
//! All that a plugin hands over is looked at here and copied; what makes no sense is an error to the plugin. A plugin that
//! writes where it should not, or never returns, cannot be helped: it shares the process.
#![allow(unsafe_code, reason = "the boundary to plugins")]

mod account;
mod answer;
mod completions;
mod context;
mod dynamic;
mod entry;
mod events;
mod groups;
mod guarded;
mod host_extensions;
mod host_table;
mod instance;
mod library;
mod load_error;
mod metrics;
mod plugins;
mod registry;
/// What the queues and tables lock with: the model checker puts its own in this place.
mod sync {
    pub(super) use std::sync::atomic::{AtomicBool, Ordering};
    pub(super) use std::sync::{Mutex, MutexGuard, PoisonError};
}
mod timers;
mod tokens;
mod values;

pub use account::{Account, Callback};
pub use answer::{Outcome, Verdict};
pub use context::Surroundings;
pub use events::{ConnectEvent, LookupEvent, Place};
pub use groups::{GroupChange, MemberChoice};
pub use instance::Instance;
pub use library::Library;
pub use load_error::LoadError;
pub use metrics::Figure;
pub use plugins::{Chain, Plugins, Prepared};
pub use registry::NativeRegistry;
