//! Nothing that serves dies unnoticed.
//!
//! Each thread of the server is started here, or registers here, and beats at least every [`BEAT`], at the cost of one store to
//! memory. A thread that panics begins anew where nothing is lost by it. Where that does not help, or would leave clients behind
//! that nobody serves, the process ends: the supervisor says so, gives the other threads a moment for an orderly goodbye, and
//! leaves with [`EXIT_STATUS`], whatever the threads do, so that a service manager starts it again.

mod pace;
mod supervisor;
#[cfg(test)]
mod tests;
mod threads;

use std::time::Duration;

pub use pace::Pace;
pub use supervisor::{EXIT_STATUS, Supervisor, fail};
pub use threads::{AtStandstill, Pulse, spawn, spawn_once, this_thread};

/// A watched thread beats at least so often, whether it has work or not.
pub const BEAT: Duration = Duration::from_secs(1);
