//! The groups that clients of this server are in: their members ([`membership`]), and which members are named to each other when one
//! joins ([`bootstrap`]). The messages are those of the crate `introd-netgroup`.

pub mod bootstrap;
mod members;
pub mod membership;
#[cfg(test)]
mod overlay_tests;
#[cfg(test)]
mod testing;

pub use membership::Memberships;
