//! The threads that scripts run on: which instance has its turn, what waits for it, and a watchdog over them.

pub(crate) mod handle;
pub(crate) mod inbox;
mod line;
pub(crate) mod pool;
mod schedule;
pub(crate) mod script_files;
mod thread;
mod watchdog;
