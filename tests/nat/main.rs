//! Peers meet through real NATs: hosts in network namespaces, NATs of nftables, the program itself, a real Redis.
//!
//! Needs root and the programs `ip`, `nft`, `sysctl` and `redis-server`; a test that lacks one fails and says so. Everything
//! that a test makes is gone when it ends, and what a killed run left behind is removed by the next. No packet leaves the
//! namespaces.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod diagnosis;
mod hole_punching;
mod home_server;
mod hosts;
mod lan_discovery;
mod late_network;
mod many_servers;
mod matrix;
mod namespace;
mod narrow_paths;
mod nat_behaviour;
mod nats;
mod outcomes;
mod programs;
mod relay_policy;
mod relaying;
mod server_group;
mod servers_behind_nats;
