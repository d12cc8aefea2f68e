//! The groups that clients of this server are in: who is a member ([`membership`]), and which members are told of each other when
//! one joins ([`bootstrap`]). What stands on the wire is `introd-netgroup`'s.

pub mod bootstrap;
pub mod membership;
#[cfg(test)]
mod overlay_tests;

pub use membership::Memberships;
