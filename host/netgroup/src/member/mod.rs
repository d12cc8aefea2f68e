//! A member of a group: the peers' own side of a NetGroup (WIRE.md §3).
//!
//! [`Member`] is one membership of one peer. It owns no session, no flow and no clock. Its driver reports what happens, then takes
//! [`Member::poll_output`] until there is nothing, and calls [`Member::handle_timeout`] at [`Member::poll_timeout`]. A peer that is in
//! several groups has a member for each; the first message on a peer's flow names the group ([`message::Connect::group_of`]).
//!
//! ```text
//! server: 47 43   join ->  <- hints                      channel
//! peer:   47 52 1C  01 proof ->  <- 01 proof, 02, 0E     admission
//!                   02, 0E ->  <- 0A report  0A ->       gossip
//!                   every 10 s a report to one neighbour upkeep
//! ```
//!
//! The state of a member is in `state.rs`, and its driver's calls come in at `inputs.rs`.

mod admission;
mod announced;
mod counters;
mod coverage;
mod coverage_notice;
mod directed;
pub mod flow_type;
mod gossip;
mod inputs;
mod known;
mod link;
pub mod message;
mod output;
pub mod posting;
mod postings;
pub mod proof;
pub mod report;
mod state;
#[cfg(test)]
mod tests;
mod topology;
mod upkeep;

pub use self::admission::MAX_GUESTS;
pub use self::counters::GroupCounters;
pub use self::directed::{Direction, MAX_DIRECTED, Sent};
pub use self::known::{FORGOTTEN, MAX_KNOWN};
pub use self::link::SessionFacts;
pub use self::output::{GroupEvent, Output, Refusal};
pub use self::posting::PostingId;
pub use self::postings::MAX_POSTING;
pub use self::state::{Member, PERIOD};
pub use self::topology::{MAX_NEIGHBORS, target_neighbors};
