//! Support for the tests of introd.
#![forbid(unsafe_code)]

pub mod cargo;
pub mod cores;
pub mod decoder;
pub mod fuzzing;
pub mod libraries;
pub mod redis;
pub mod udp_ceiling;
