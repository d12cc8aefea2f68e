//! The groups that clients of this server are in: their members ([`membership`]), and which members are named to each other when one
//! joins ([`bootstrap`]). [`SharedGroups`] does the same over all servers
//! that share a registry. The messages are those of the crate `introd-netgroup`.

pub mod bootstrap;
mod listing;
mod members;
pub mod membership;
#[cfg(test)]
mod overlay_tests;
mod shared;
#[cfg(test)]
mod testing;

pub use listing::{ListedGroup, ListedMember};
pub use membership::Memberships;
pub use shared::{SendHint, SharedGroups};
