//! The clients of one worker: between their sessions' flows and their NetConnections.
//!
//! [`Clients`] is the table of them (`table`), `client` what is kept of one. `events` takes what happens to their sessions, `perform` does
//! what their NetConnections want then: `connecting`, `groups`, `addresses`. `commands` does what scripts want, `plugins` tells plugins.
//! `silence` and `identities` find out which clients are still there, `upkeep` does what is due.

mod address_changes;
mod addresses;
mod agenda;
mod client;
mod client_groups;
mod client_silence;
mod client_turn;
mod commands;
mod connecting;
mod costs;
mod doubts;
mod events;
mod groups;
mod identities;
mod perform;
mod plugins;
mod silence;
mod table;
mod upkeep;

pub(super) use table::Clients;
