//! The threads that scripts run on: which instance has its turn, what waits for it, and a watchdog over them.

mod busy_time;
mod connection_port;
pub(crate) mod handle;
mod hosted_instance;
pub(crate) mod inbox;
mod lanes;
mod lookup_turn;
pub(crate) mod pool;
mod schedule;
pub(crate) mod script_files;
pub(crate) mod script_host;
pub(crate) mod shared;
mod thread;
mod thread_queue;
mod watchdog;
