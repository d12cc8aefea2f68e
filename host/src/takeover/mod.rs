//! A takeover: a new process goes on with the sockets and the sessions of one that serves, and no client notices.
//!
//! `introd run --takeover` listens at a Unix socket for its successor, and looks there first for a predecessor. The two say (`message.rs`):
//!
//! | | new process (`predecessor.rs`) | process that serves (`successor.rs`) |
//! |---|---|---|
//! | 1 | connects; says which version of the state it reads | checks user and version |
//! | 2 | | offers its sockets, its certificates and the key of its cookies; goes on serving |
//! | 3 | starts everything but its workers, and says that it is ready | |
//! | 4 | | its workers stand still, and give their state |
//! | 5 | goes on with all of it, and says so | |
//! | 6 | | gives the sessions away |
//! | 7 | serves, and says so | ends; if the new process ends before that, its workers go on |
//!
//! Until step 6 any failure, and any time limit that passes, leaves the old process as it was: its workers stood still for a moment, for
//! which they blame no client. Datagrams of that time wait in the sockets, which both processes have.
//!
//! The state (`state.rs`) has sections, each with a version and a checksum. It holds the keys of sessions: it goes over the Unix socket, whose
//! two ends check each other's user, and never to a disk.

mod channel;
mod message;
mod monotonic;
mod predecessor;
mod socket_path;
mod state;
mod successor;

pub use predecessor::{Offer, Predecessor};
pub use socket_path::default_path;
pub use state::{STATE_VERSION, ServerState, StateReadError};
pub use successor::{Estate, Successors};
