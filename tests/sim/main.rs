//! Whole endpoints on a simulated network in virtual time. Each scenario's name is its claim.
#![forbid(unsafe_code)]

mod amplification;
mod budget;
mod closing;
mod cookies;
mod delivery;
mod determinism;
mod fair_shares;
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
mod narrow_paths;
mod network;
mod once_in_order_intact;
mod override_session;
mod partial_reliability;
mod passwords;
mod relaying;
mod stalled_receiver;
mod time_critical;
mod time_critical_shares;
mod unacknowledged;
mod vanishing;
