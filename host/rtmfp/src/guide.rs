//! How to use the crate, in four pages: identities, sessions, flows, introductions. Read them in this order.

#[doc = include_str!("../docs/identities.md")]
pub mod identities {}

#[doc = include_str!("../docs/sessions.md")]
pub mod sessions {}

#[doc = include_str!("../docs/flows.md")]
pub mod flows {}

#[doc = include_str!("../docs/introductions.md")]
pub mod introductions {}
