//! Whole endpoints on a simulated network in virtual time. Each scenario's name is its claim.

mod handshake;
mod network;
