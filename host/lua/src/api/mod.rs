//! What scripts see: `application`, `Client`, `GroupControl`, `GroupSpecifier`, timers, `registry`, and the functions that the prelude
//! makes the rest of.

pub(crate) mod address;
pub(crate) mod application;
pub(crate) mod client;
mod clients;
pub(crate) mod group_control;
pub(crate) mod group_specifier;
pub(crate) mod lookup_event;
mod natives;
mod shared_registry;
pub(crate) mod state;
pub(crate) mod timers;
pub(crate) mod vm;
