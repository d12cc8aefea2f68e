//! The NetConnections of scripts: each is an endpoint of its own, with sockets of its own, on threads apart from the workers.
//!
//! [`NetConnectionService`] implements [`NetConnections`](introd_policy::net_connection::NetConnections). A connection is a task (`task`) on
//! one of a few threads; its handle (`connection`) passes commands through a bounded queue, and events go straight to the script's host,
//! which never waits. Whatever a connection's traffic costs, public-key work included, it costs these threads: workers and lookups
//! do not notice. Begin reading with `service`, then `task`.

mod connection;
mod counters;
mod groups;
mod link;
mod options;
mod seats;
mod service;
mod task;
#[cfg(test)]
mod tests;

pub use counters::{NetConnectionCounters, NetConnectionCounts};
pub use service::NetConnectionService;
