//! The clients of one worker: the link between their sessions' flows and their NetConnections.
//!
//! [`Clients`] is the table of them (`table`, `client_table`), `client` what is kept of one. `events` handles their sessions' events, `perform` executes
//! the actions of their NetConnections: `connecting`, `groups` with `bookkeeping`, `addresses`. `commands` executes scripts' commands,
//! `plugins` tells plugins. `relaying` calls clients on behalf of others. `silence` and `identities` find out which clients
//! are still there, `sighting` counts them where they are seen, `republishing` publishes them again, `upkeep` acts on deadlines.

mod address_changes;
mod addresses;
mod agenda;
mod bookkeeping;
mod client;
mod client_groups;
mod client_silence;
mod client_table;
mod client_turn;
mod commands;
mod connecting;
mod connectivity;
mod costs;
mod doubts;
mod ending;
mod events;
mod groups;
mod handover;
mod identities;
mod inquiries;
mod nat_testing;
mod perform;
mod plugins;
mod publishing;
mod relay_rates;
mod relaying;
mod republishing;
mod sighting;
mod silence;
mod table;
mod upkeep;

#[cfg(test)]
mod tests;

pub(super) use handover::PreparedClient;
pub(super) use table::Clients;
