//! Introductions of peers to each other: the directory of the connected peers, the addresses at which each can be reached, and the
//! counters.

pub mod counters;
pub mod directory;
pub mod introduction;
mod other_servers;
mod reach;
pub mod reported;
pub mod site;

pub use counters::{Counter, Counters, Snapshot, WorkerCounters};
pub use directory::{Arrival, Departure, Directory, Dispute, Listed, RivalsRecord, Succession};
pub use introduction::{Introduction, introduce};
pub use other_servers::{elsewhere, published, relays};
pub use site::Site;
