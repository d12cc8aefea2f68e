//! NetGroups: groups of peers that find each other with a server's help and then speak directly.
//!
//! For whom: the server, which knows a group by its [`GroupDigest`] and reads the [`channel`] of its clients; and clients, which are
//! [`member`]s of the groups whose [`Groupspec`] they have. [`participant`] joins the members of one endpoint to its sessions and flows, and
//! [`discovery`] finds members on the local network.
//! Not in here: sockets, clocks, threads, and which members a server names to each other. This crate is sans-IO.
//! Begin reading with [`groupspec`], then [`channel`] for the server's side or [`member`] for the peers' own.
//! Neither RFC 7016 nor RFC 7425 defines NetGroups: what the code follows is in `WIRE.md` of this crate, and comments name its sections.
#![forbid(unsafe_code)]

pub mod channel;
pub mod digest;
pub mod discovery;
mod group_key;
pub mod groupspec;
mod jitter;
pub mod member;
pub mod participant;
pub mod ring;
#[cfg(test)]
mod tests;

pub use digest::GroupDigest;
pub use group_key::GroupKey;
pub use groupspec::{GroupSpecifier, Groupspec};
pub use ring::GroupAddress;
