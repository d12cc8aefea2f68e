//! Whole endpoints on a simulated network in virtual time. Each scenario's name is its claim.

mod closing;
mod cookies;
mod delivery;
mod determinism;
mod fragments;
mod glare;
mod half_open;
mod handshake;
mod hostile;
mod introduction;
mod keepalive;
mod lossy_handshake;
mod marks;
mod mobility;
mod network;
mod override_session;
mod passwords;
mod time_critical;
