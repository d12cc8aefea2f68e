//! NetGroups: groups of peers that find each other with the server's help and then speak directly.
//!
//! Neither RFC 7016 nor RFC 7425 defines them. What stands here follows recorded traffic and the behaviour of independent
//! implementations ("wire facts" in the comments names the sections of the notes made of them); where those leave a question
//! open, the documentation says so.
//!
//! A server knows a group by its [`GroupDigest`]. A client joins on a flow of its own to the server ([`channel`]), the server
//! keeps who is where on the group's ring ([`membership`], [`ring`]) and tells members of each other ([`bootstrap`]). The
//! members' own side is [`member`]; it needs the [`Groupspec`] itself. Nothing here does I/O or reads a clock.

pub mod bootstrap;
pub mod channel;
pub mod digest;
pub mod groupspec;
pub mod member;
pub mod membership;
pub mod ring;
#[cfg(test)]
mod tests;

pub use digest::GroupDigest;
pub use groupspec::{GroupSpecifier, Groupspec};
pub use membership::Memberships;
pub use ring::GroupAddress;
