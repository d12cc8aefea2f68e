//! NetGroups: groups of peers that find each other with a server's help and then speak directly.
//!
//! Neither RFC 7016 nor RFC 7425 defines them. What stands here follows recorded traffic and the behaviour of independent
//! implementations ("wire facts" in the comments names the sections of the notes made of them); where those leave a question
//! open, the documentation says so.
//!
//! A server knows a group by its [`GroupDigest`]. A client joins on a flow of its own to the server ([`channel`]); the order of the
//! members is that of the [`ring`]. The members' own side is [`member`]; it needs the [`Groupspec`] itself. This crate is sans-IO: it
//! must not know sockets, clocks, threads, or the server. Begin reading with [`groupspec`].
#![forbid(unsafe_code)]

pub mod channel;
pub mod digest;
pub mod groupspec;
pub mod member;
#[cfg(test)]
mod recorded_tests;
pub mod ring;

pub use digest::GroupDigest;
pub use groupspec::{GroupSpecifier, Groupspec};
pub use ring::GroupAddress;
