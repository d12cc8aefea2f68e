//! The host's side of native plugins, with libraries that behave and libraries that do not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod abi;
mod bench;
mod deferring;
mod filter;
mod groups;
mod loading;
mod misbehaving;
mod registry;
mod relays;
mod valgrind;
