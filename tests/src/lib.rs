//! Support for the tests of introd.
#![forbid(unsafe_code)]

pub mod cargo;
pub mod cores;
pub mod decoder;
pub mod folder;
pub mod fuzzing;
pub mod libraries;
pub mod load;
pub mod program;
pub mod redis;
pub mod startup_packets;
pub mod udp_ceiling;
pub mod waiting;
