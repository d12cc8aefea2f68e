//! The workers and the clients whose sessions they hold.

mod announcer;
mod clients;
mod gate;
mod keying_pool;
mod keying_queue;
mod listen;
mod listener;
mod mail;
mod pending;
mod rate_table;
mod rates;
mod refusals;
mod repeats;
mod sieve;
mod surroundings;
mod worker;

pub use announcer::Announcer;
pub use clients::Services;
pub use keying_pool::{KeyingPool, KeyingReply};
pub use listen::{Listening, listen};
pub use listener::Listener;
pub use mail::{Mail, MailSender, Switchboard, mailbox};
pub use rates::Rates;
pub use refusals::Refusals;
pub use repeats::Repeats;
pub use surroundings::Surroundings;
pub use worker::Worker;
