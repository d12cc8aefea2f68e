//! Batched UDP sockets that know which local address each datagram came to.
//!
//! [`Ports`] is what most users want: the sockets of one endpoint, drained and filled in batches ([`RecvBatch`], [`SendBatch`]). An
//! [`Interfaces`] table turns "this socket, this local address" into the small number that the protocol engine carries.
//! [`bind_workers`] makes sockets that several workers share; the kernel spreads clients over them by its hash of the two addresses
//! (`SO_REUSEPORT`).
//!
//! Everything here is Linux's: `recvmmsg`, `sendmmsg`, `IP_PKTINFO`. The system calls, and so the `unsafe`, are in `syscall.rs`;
//! registering with tokio needs a little more in `async_socket.rs`. This crate must not know what is sent: no sessions, no policy, no
//! configuration. Begin reading with [`Ports`].

mod ancillary;
mod async_socket;
mod bind;
mod interface;
mod local;
mod ports;
mod recv_batch;
mod send_batch;
mod sleep;
mod sockaddr;
mod socket;
#[cfg(test)]
mod socket_tests;
mod syscall;

pub use async_socket::AsyncUdpSocket;
pub use bind::{BindError, bind_workers};
pub use interface::{Interface, Interfaces, MAX_INTERFACES};
pub use local::LocalAddress;
pub use ports::{Filter, Ports, Tap};
pub use recv_batch::{Datagram, MAX_DATAGRAM, RecvBatch, RecvCounters};
pub use send_batch::{Flush, Full, SendBatch, SendCounters};
pub use sleep::{MAX_CATCH_UP, sleep_until};
pub use socket::{BufferSizes, UdpSocket};
pub use syscall::return_freed_memory;
