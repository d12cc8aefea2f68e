//! What scripts see: `application`, `Client`, `GroupControl`, `GroupSpecifier`, timers, `registry`, and the functions of which the prelude
//! makes the rest.

pub(crate) mod address;
pub(crate) mod address_list;
pub(crate) mod application;
pub(crate) mod client;
mod client_calls;
pub(crate) mod client_objects;
mod clients;
pub(crate) mod group_control;
pub(crate) mod group_specifier;
pub(crate) mod lookup_event;
mod natives;
pub(crate) mod script;
mod shared_registry;
pub(crate) mod state;
mod timer_functions;
