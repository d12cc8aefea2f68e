//! The registry against real Redis servers: alone, gone, frozen, empty, slow, in a cluster, with sentinels, with TLS.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod copies;
mod costs;
mod groups;
mod harness;
mod kinds;
mod listing;
mod logins;
mod lost_entries;
mod outages;
mod refusals;
mod round_trips;
mod shards;
mod sharing;
mod storm;
