//! How to use the crate, by subject. Nothing but pages.

#[doc = include_str!("../docs/identities.md")]
pub mod identities {}

#[doc = include_str!("../docs/sessions.md")]
pub mod sessions {}

#[doc = include_str!("../docs/flows.md")]
pub mod flows {}

#[doc = include_str!("../docs/introductions.md")]
pub mod introductions {}
