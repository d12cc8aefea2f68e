//! Watched threads: no thread that serves clients dies or stands still unnoticed.
//!
//! Every thread of the server is started here, or registers here ([`this_thread`]), and beats at least every [`BEAT`], which costs one
//! store to memory. A thread that panics is restarted where that loses nothing. Where that does not help, or would leave clients that
//! no thread serves, the process ends: the supervisor logs the reason, gives the other threads a moment to say goodbye to their
//! clients, and exits with [`EXIT_STATUS`] whatever the threads do, so that a service manager starts the process again.
//!
//! This crate must not know what the threads do: it knows the log, and nothing else of introd. Begin reading with `threads.rs`, which
//! starts threads, and go on with `supervisor.rs`, which watches them.

mod failure;
mod pace;
mod supervisor;
#[cfg(test)]
mod tests;
mod threads;
mod watched;

pub use failure::fail;
pub use pace::{BEAT, Pace};
pub use supervisor::{EXIT_STATUS, Supervisor};
pub use threads::{spawn, spawn_once};
pub use watched::{AtStandstill, Pulse, this_thread};
