//! The administration: HTTP on a thread of its own.
//!
//! `thread` has the listeners and connections with their bounds, `routes` what is answered where. `caller` reads who asks, `gate` decides
//! whether they may, with `logins` and `passwords`. `actions` has what administrators
//! change. `inspector` reads the server's state: from counters and tables, and by
//! [`Inquiry`](crate::serve::Inquiry) from workers, which never wait for it. `ams` is the Administration API of Adobe's servers,
//! `api` the same in JSON and more, `metrics` what Prometheus reads, `page` what a browser shows.

mod actions;
mod ams;
mod api;
mod calendar;
mod caller;
mod connections;
mod gate;
mod health;
mod inspector;
mod logins;
mod metrics;
mod page;
mod passwords;
mod query;
mod rooms;
mod routes;
mod streams;
mod system;
#[cfg(test)]
mod testing;
mod thread;

pub use inspector::Inspector;
pub use thread::Administration;
