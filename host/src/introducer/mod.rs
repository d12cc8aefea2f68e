//! Introducing peers to each other: who is connected, where they can be reached, and how often they were asked for.

pub mod counters;
pub mod directory;
pub mod introduction;
pub mod reported;

pub use counters::{Counter, Counters, Snapshot, WorkerCounters};
pub use directory::{Arrival, Departure, Directory, Succession};
pub use introduction::{Introduction, elsewhere, introduce, published, relays};
