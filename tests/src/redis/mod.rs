//! Redis servers of the tests' own, and a way to them that can be cut and slowed.

#![allow(clippy::unwrap_used, reason = "for tests, which fail by panicking")]
#![allow(clippy::missing_panics_doc, reason = "for tests, which fail by panicking")]

mod proxy;
mod server;

pub use proxy::Proxy;
pub use server::{Redis, command, free_port, serve};
