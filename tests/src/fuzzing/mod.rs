//! What hostile bytes are fed to, and what must hold whatever they are.
//!
//! Each target is one function of a byte string. `tests/fuzz` runs them under libFuzzer, `tests/tests/fuzz_smoke.rs` over the
//! committed corpus and mutations of it. A target panics when something does not hold; it returns the same way for the same
//! bytes every time.

// A target fails by panicking.
#![allow(clippy::unwrap_used)]

pub mod administration;
pub mod amf;
pub mod announcements;
pub mod barriers;
pub mod certificate;
pub mod config;
pub mod connection;
pub mod directory;
pub mod endpoint;
pub mod input;
pub mod mutate;
pub mod wire;

/// A function to be fed with arbitrary bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of the program in `tests/fuzz` and of the folder of its corpus.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]),
    /// The longest input worth trying, in bytes.
    pub max_len: usize,
}

/// All targets.
pub const TARGETS: [Target; 10] = [
    Target { name: "wire", run: wire::run, max_len: 2048 },
    Target { name: "certificate", run: certificate::run, max_len: 2048 },
    Target { name: "amf", run: amf::run, max_len: 4096 },
    Target { name: "connection", run: connection::run, max_len: 4096 },
    Target { name: "endpoint", run: endpoint::run, max_len: 4096 },
    Target { name: "barriers", run: barriers::run, max_len: 1024 },
    Target { name: "directory", run: directory::run, max_len: 1024 },
    Target { name: "administration", run: administration::run, max_len: 4096 },
    Target { name: "config", run: config::run, max_len: 4096 },
    Target { name: "announcements", run: announcements::run, max_len: 2048 },
];
