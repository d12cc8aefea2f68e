//! What differs between operating systems, behind the same names.
//!
//! - `linux` sends and receives many datagrams per system call, lets workers share a port, and hears from the kernel of changes of the network.
//! - `portable` is for all other systems, macOS and Windows among them: one datagram per call, one worker for each port, and a look at the
//!   machine's addresses every few seconds. It is for developers at their desks, not for a server with many clients. On Linux the feature
//!   `portable` of this crate chooses it, so that it is tested where the tests run.
//!
//! Both have:
//!
//! | name | what it is |
//! |---|---|
//! | `Socket` | a bound, non-blocking socket that reports local addresses and lets nothing be fragmented |
//! | `prepare`, `prepare_multicast` | set what must be set before a socket is bound |
//! | `share`, `CAN_SHARE_PORTS` | let several sockets have one port |
//! | `set_receive_buffer`, `set_send_buffer`, `granted_buffers` | the sizes of buffers, in bytes |
//! | `Messages` | memory for the datagrams of a batch, which it receives or sends |
//! | `Watched` | a socket that a tokio runtime watches |
//! | `interface_addresses`, `NetworkChanges` | the addresses of this machine, and when they change |
//! | `breaks_socket`, `is_too_long`, `is_ipv6_missing` | what an error of the system means |
//! | `advice`, `BUFFER_ADVICE` | what an administrator can do about an error |

#[cfg(all(target_os = "linux", not(feature = "portable")))]
mod linux;
#[cfg(all(target_os = "linux", not(feature = "portable")))]
use linux as system;

#[cfg(not(all(target_os = "linux", not(feature = "portable"))))]
mod portable;
#[cfg(not(all(target_os = "linux", not(feature = "portable"))))]
use portable as system;

pub(crate) use system::{
    BUFFER_ADVICE, Messages, Socket, Watched, advice, breaks_socket, granted_buffers, is_ipv6_missing, is_too_long,
    prepare, prepare_multicast, set_receive_buffer, set_send_buffer, share,
};
pub use system::{CAN_SHARE_PORTS, NetworkChanges, interface_addresses};
