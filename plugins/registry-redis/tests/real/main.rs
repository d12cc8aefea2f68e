//! The registry against real Redis servers: alone, gone, frozen, empty, slow, in a cluster, with sentinels, with TLS.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod copies;
mod costs;
mod harness;
mod kinds;
mod outages;
mod sharing;
mod storm;
