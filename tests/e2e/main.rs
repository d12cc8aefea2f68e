//! The real program on real sockets, and clients of its own protocol.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod admin;
mod beginning;
mod benching;
mod catch_all;
mod configured;
mod connection;
mod connectivity;
mod consent;
mod costs;
mod counters;
mod diagnosing;
mod draining;
mod elsewhere;
mod first_steps;
mod group_abuse;
mod groups;
mod harness;
mod hostile;
mod independent;
mod installing;
mod liveness;
mod media;
mod meeting;
mod moving;
mod nat_probing;
mod overlay;
mod page;
mod plugins;
mod probing;
mod recorded;
mod registry;
mod relay_abuse;
mod relay_policy;
mod remote;
mod scripts;
mod service_manager;
mod start_and_stop;
mod takeover;
