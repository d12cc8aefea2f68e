//! What tests of a worker and of its parts share.
//!
//! [`World`] is a worker and far ends of real sessions with it, joined by a network in memory. Time is virtual: it passes only when a
//! test lets it pass.

mod far_end;
mod heir;
mod plugin;
mod registry;
mod script;
mod services;
mod world;

pub(super) use plugin::{Says, with_plugins};
pub(super) use registry::Published;
pub(super) use script::with_application;
pub(crate) use services::services;
pub(super) use services::{MAX_CALLS, RESOLVER_TIMEOUT, worker};
pub(super) use world::{Setup, World};

pub(crate) use crate::apps::tests::request;
