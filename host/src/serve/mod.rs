//! The workers and the clients whose sessions they hold.
//!
//! A [`Worker`] drains its sockets into its endpoint, hands the endpoint's events to its clients and its lookups, and sends the resulting
//! packets in one batch. Workers share [`Services`] and reach each other by [`Mail`]; plugins, scripts and the registry reach them by
//! `Replies` of `introd-policy`.

mod announcer;
mod asked;
mod backlog;
mod clients;
mod datagram;
mod drain;
mod forwarding;
mod gate;
mod handover;
mod inquiry;
mod keying_pool;
mod keying_queue;
mod latencies;
mod listen;
mod lookups;
mod mail;
mod nat_tests;
mod pending;
mod pending_connect;
mod plugin_access;
mod rate_table;
mod rates;
mod refusals;
mod repeated_lookups;
mod services;
mod sieve;
mod standstill;
mod stopping;
mod strays;
mod switchboard;
#[cfg(test)]
pub(crate) mod testing;
mod turn;
mod worker;

pub use announcer::Announcer;
pub use datagram::SessionDatagram;
pub use drain::{Drain, DrainOrder, DrainRefused, DrainRequest, MAX_DRAIN_ADDRESSES, MAX_DRAIN_TIME};
pub use handover::{
    ConnectingRecord, Copied, Copies, CopyOrder, Fate, HandOver, HandedOver, Inheritance, Inherited, WorkerState,
};
pub use inquiry::{ClientLine, ClientReport, Inquiry, WorkerReport};
pub use keying_pool::{KeyingPool, KeyingReply};
pub use latencies::{AskedPolicy, BOUNDS, Histogram, HistogramCounts, Latencies};
pub use listen::{Listening, as_configured, listen, listening_addresses};
pub use mail::{Mail, MailSender, mailbox};
pub use nat_tests::NatTests;
pub use plugin_access::PluginAccess;
pub use rates::Rates;
pub use refusals::Refusals;
pub use services::Services;
pub use switchboard::Switchboard;
pub use worker::{Worker, WorkerParts};
