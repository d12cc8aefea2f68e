//! Batched UDP sockets that know which local address each datagram came to.
//!
//! [`Ports`] are the sockets of one RTMFP endpoint, which receive and send many datagrams per system call; [`bind_workers`] makes
//! sockets that several workers share, and [`adopt_workers`] takes over those that another process has made. [`UdpSocket`], [`RecvBatch`] and [`SendBatch`] are for programs without an endpoint, and
//! [`MulticastReceiver`] and [`send_multicast`] for multicast on the local network. All of it needs Linux: `recvmmsg`, `sendmmsg`,
//! `IP_PKTINFO`, `SO_REUSEPORT`, `getifaddrs`. `unsafe` is only in `syscall.rs` and `async_socket.rs`.
//!
//! The crate must not know what the datagrams mean: no sessions, no policy, no configuration. Begin reading with [`Ports`].

mod ancillary;
mod async_socket;
mod bind;
mod interface;
mod local;
mod multicast;
#[cfg(test)]
mod multicast_tests;
mod network_changes;
mod network_interfaces;
mod ports;
mod recv_batch;
mod send_batch;
mod send_queue;
mod sleep;
mod sockaddr;
mod socket;
#[cfg(test)]
mod socket_tests;
mod syscall;

pub use async_socket::AsyncUdpSocket;
pub use bind::{BindError, adopt_workers, bind_workers};
pub use interface::Interface;
pub use local::LocalAddress;
pub use multicast::{HOPS, MulticastReceiver, send_multicast};
pub use network_changes::NetworkChanges;
pub use network_interfaces::{InterfaceAddress, interface_addresses};
pub use ports::{Filter, MAX_CATCH_UP, Ports, Tap};
pub use recv_batch::{Datagram, RecvBatch};
pub use send_batch::{Full, SendBatch};
pub use sleep::{Alarm, sleep_until};
pub use socket::{BufferSizes, UdpSocket};
