//! What scripts see: `application`, `Client`, `GroupControl`, `GroupSpecifier`, `NetConnection`, `NetGroup`, timers, `registry`, and the
//! functions of which the prelude makes the rest.

pub(crate) mod address;
pub(crate) mod address_list;
pub(crate) mod address_texts;
pub(crate) mod application;
pub(crate) mod client;
pub(crate) mod client_objects;
mod clients;
pub(crate) mod connection_objects;
pub(crate) mod group_control;
pub(crate) mod group_specifier;
pub(crate) mod idle_handlers;
mod latest_lookup;
pub(crate) mod lookup_event;
pub(crate) mod lookup_facts;
mod natives;
pub(crate) mod net_connection;
pub(crate) mod net_group;
pub(crate) mod pending_calls;
mod relay_terms;
pub(crate) mod script;
mod shared_registry;
pub(crate) mod state;
mod timer_functions;
mod traffic_rates;
pub(crate) mod watches;
