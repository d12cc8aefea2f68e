//! The HTTP requests of scripts: to the hosts that Application.xml lists and to no others, within limits, on a thread of their own.
//!
//! [`HttpService`] implements [`HttpRequests`](introd_policy::http::HttpRequests). A request is a task (`exchange`) that waits for its turn
//! (`places`), asks a host (`destination`, `resolver`, `connection`), and follows redirects. What a script must not reach is refused by the
//! host's name, and again by the address that the name resolves to (`addresses`): the connection goes to the very address that was looked
//! at, so that a name whose address changes meanwhile gains nothing. Nothing is taken from the environment: no proxy, no credentials, no
//! cookies. Begin reading with `service`, then `exchange`.

mod addresses;
mod connection;
mod counters;
mod destination;
mod exchange;
mod lent;
mod message;
mod places;
mod pool;
mod resolver;
mod service;
#[cfg(test)]
mod tests;
mod trust;

pub use counters::{HttpCounters, HttpOutcome};
pub use resolver::{Resolve, Resolving, SystemResolver};
pub use service::HttpService;
