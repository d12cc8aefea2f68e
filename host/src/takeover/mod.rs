//! A takeover: a new process goes on with the sockets and the sessions of one that serves, and no client notices.
//!
//! `introd run --takeover` listens at a Unix socket for its successor, and looks there first for a predecessor. The two say (`message.rs`):
//!
//! | | new process (`predecessor.rs`) | process that serves (`successor.rs`, with its workers in `standstill.rs`) |
//! |---|---|---|
//! | 1 | connects; says which version it speaks | checks user and version |
//! | 2 | | offers its sockets, its certificates, the key of its cookies, the ports of its relay and what its registry hands over; goes on serving |
//! | 3 | starts everything but its workers, and says that it is ready | |
//! | 4 | prepares the sessions | copies its sessions while it serves them, and then those that have changed meanwhile |
//! | 5 | | its workers and its relay stand still, and give their state: what has changed since it was copied, and what has not |
//! | 6 | goes on with all of it, and says so | |
//! | 7 | | gives the sessions away |
//! | 8 | says that it serves, and does so from then on | ends; if the new process ends before it says that, the workers go on |
//!
//! Between step 5 and step 8 nobody serves. That is why step 4 is there: it may take long, and does most of the work. In step 8 the new process
//! says that it serves before it does: when the old one goes on, no other has changed the sessions, or told their clients anything.
//!
//! Until step 7 any failure, and any time limit that passes, leaves the old process as it was: its workers stood still for a moment, for
//! which they blame no client. Datagrams of that time wait in the sockets, which both processes have.
//!
//! The state (`state.rs`) has sections, each with a version and a checksum. It holds the keys of sessions: it goes over the Unix socket, whose
//! two ends check each other's user, and never to a disk.

mod channel;
mod copying;
mod ending;
mod estate;
mod message;
mod monotonic;
mod predecessor;
mod reserved_socket;
mod socket_path;
mod standstill;
mod state;
mod successor;
#[cfg(test)]
mod tests;
mod worker_mail;

pub use estate::Estate;
pub use predecessor::{Offer, OfferedServices, Predecessor};
pub use reserved_socket::ReservedSocket;
pub use socket_path::default_path;
pub use state::{RelayState, STATE_VERSION, ServerState, StateReadError};
pub use successor::Successors;
