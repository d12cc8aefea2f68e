//! The threads that scripts run on: which instance has its turn, what waits for it, and a watchdog over them.

pub(crate) mod handle;
pub(crate) mod inbox;
pub(crate) mod pool;
mod schedule;
pub(crate) mod script_files;
pub(crate) mod shared;
mod thread;
mod thread_queue;
mod watchdog;
