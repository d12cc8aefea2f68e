//! Whole endpoints on a simulated network in virtual time. Each scenario's name is its claim.

mod glare;
mod handshake;
mod introduction;
mod lossy_handshake;
mod network;
