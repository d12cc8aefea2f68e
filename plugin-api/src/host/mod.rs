//! The host, as a plugin in Rust calls it: [`Host`] and what it returns.

mod error;
mod groups;
mod handle;
mod log;
mod metrics;
mod peers;
mod timers;

pub use error::HostError;
pub use groups::{Hint, MemberChoice};
pub use handle::Host;
pub use log::Level;
pub use metrics::{Counter, Gauge};
pub use peers::LocalPeer;
pub use timers::Timer;
