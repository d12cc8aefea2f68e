//! What a script runs in: a Lua VM whose handlers are coroutines, the limits on their time and memory, values, patterns and files.
//! Nothing here knows of applications, clients or threads.

pub(crate) mod expando;
pub(crate) mod failure;
pub(crate) mod handler_count;
pub(crate) mod host_memory;
pub(crate) mod limits;
pub(crate) mod loading;
pub(crate) mod memory;
mod natives;
mod pattern;
pub(crate) mod timers;
pub(crate) mod values;
pub(crate) mod vm;
pub(crate) mod vm_context;
