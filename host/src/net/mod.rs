//! UDP workers: batched sockets that know which local address each datagram came to.
//!
//! A worker owns one [`AsyncUdpSocket`] per listening address, a [`RecvBatch`] it drains them with, a [`SendBatch`] per
//! socket, and an [`Interfaces`] table that turns "this socket, this local address" into the small number the protocol
//! engine carries. [`bind_workers`] makes the sockets of all workers; the kernel spreads clients over them by its hash
//! of the two addresses (`SO_REUSEPORT`).
//!
//! Everything here is Linux's: `recvmmsg`, `sendmmsg`, `IP_PKTINFO`. The system calls, and so the `unsafe`, are in
//! `syscall.rs`; registering with tokio needs a little more in `async_socket.rs`.

mod ancillary;
mod announcer;
mod async_socket;
mod bind;
mod clients;
mod gate;
mod interface;
mod keying_pool;
mod keying_queue;
mod listen;
mod listener;
mod local;
mod mail;
mod pending;
mod ports;
mod rates;
mod recv_batch;
mod refusals;
mod repeats;
mod send_batch;
mod sieve;
mod sockaddr;
mod socket;
#[cfg(test)]
mod socket_tests;
mod surroundings;
mod syscall;
mod worker;

pub use announcer::Announcer;
pub use async_socket::AsyncUdpSocket;
pub use bind::{BindError, bind_workers};
pub use clients::Services;
pub use interface::{Interface, Interfaces, MAX_INTERFACES};
pub use keying_pool::{KeyingPool, Reply};
pub use listen::{Listening, listen};
pub use listener::Listener;
pub use local::LocalAddress;
pub use mail::{Mail, MailSender, Switchboard, mailbox};
pub use ports::{Filter, Ports, Tap};
pub use rates::Rates;
pub use recv_batch::{Datagram, MAX_DATAGRAM, RecvBatch, RecvCounters};
pub use refusals::Refusals;
pub use repeats::Repeats;
pub use send_batch::{Flush, Full, SendBatch, SendCounters};
pub use socket::{BufferSizes, UdpSocket};
pub use surroundings::Surroundings;
pub use syscall::return_freed_memory;
pub use worker::Worker;
