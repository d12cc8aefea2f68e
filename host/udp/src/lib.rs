//! Batched UDP sockets that know which local address each datagram came to.
//!
//! [`Ports`] are the sockets of one RTMFP endpoint, which receive and send many datagrams per system call; [`bind_workers`] makes
//! sockets that several workers share, and [`adopt_workers`] takes over those that another process has made. [`UdpSocket`], [`RecvBatch`] and [`SendBatch`] are for programs without an endpoint, and
//! [`MulticastReceiver`] and [`send_multicast`] for multicast on the local network. The folder `platform` has what differs between Linux and other
//! systems; `unsafe` is only in its part for Linux.
//!
//! The crate must not know what the datagrams mean: no sessions, no policy, no configuration. Begin reading with [`Ports`].

mod async_socket;
mod bind;
mod datagram;
#[cfg(unix)]
mod descriptors;
mod interface;
mod interface_address;
mod local;
mod multicast;
#[cfg(test)]
mod multicast_tests;
mod platform;
mod ports;
mod recv_batch;
mod send_batch;
mod send_queue;
mod sleep;
mod socket;
#[cfg(test)]
mod socket_tests;

pub use async_socket::AsyncUdpSocket;
pub use bind::{BindError, adopt_workers, bind_workers};
pub use interface::Interface;
pub use interface_address::InterfaceAddress;
pub use local::LocalAddress;
pub use multicast::{HOPS, MulticastReceiver, send_multicast};
pub use platform::{CAN_SHARE_PORTS, NetworkChanges, interface_addresses};
pub use ports::{Filter, MAX_CATCH_UP, Ports, Tap};
pub use recv_batch::{Datagram, RecvBatch};
pub use send_batch::{Full, SendBatch};
pub use sleep::{Alarm, sleep_until};
pub use socket::{BufferSizes, UdpSocket};
