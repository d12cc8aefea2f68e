//! Groupspecs: the text that names a group, and that its members must know (WIRE.md §1.3).
//!
//! The text is `G:` and a list of options in hexadecimal (length, type, value; RFC 7016 §2.1.3), ended by an empty option. The options before
//! that end are the canonical part, which is the group's identity. The options after it are not: authorizations, bootstrap peers,
//! multicast addresses.

mod error;
pub mod kind;
mod multicast;
mod password;
mod specifier;
#[cfg(test)]
mod tests;
mod text;

pub use self::error::{GroupspecError, MAX_LEN};
pub use self::multicast::MulticastAddress;
pub use self::password::Password;
pub use self::specifier::GroupSpecifier;
pub use self::text::{Groupspec, SpecOption, Version};
