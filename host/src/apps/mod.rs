//! Application instances: which exist, which clients are in them, and with which settings they run.
//!
//! An application without a script has no thread and no Lua VM of its own: an instance is an entry in a table, which its
//! first client creates and which goes with its last.

mod admission;
mod applications;
mod caretaker;
mod door;
mod guards;
mod handover;
mod instance;
mod lookup_settings;
mod pressure;
mod published;
mod refusal;
mod room;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod traffic;
mod wanted;

pub use admission::Seat;
pub use applications::Applications;
pub use caretaker::Caretaker;
pub use guards::Guards;
pub use handover::{InstanceRecord, OpenCallRecord, PublishedRecord, UnacceptedRecord};
pub use instance::AppInstance;
pub use refusal::Refusal;
pub use traffic::{Traffic, TrafficCounts};
