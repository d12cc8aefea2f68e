//! Any system, by libraries that know their differences: one datagram per call (`quinn-udp`), one socket for each port, and the machine's
//! addresses by `if-addrs`. Nothing here is unsafe, and nothing names a system's own functions.

mod errors;
mod interfaces;
mod messages;
mod network_changes;
mod socket;
mod watched;

pub(crate) use errors::{BUFFER_ADVICE, advice, breaks_socket, is_ipv6_missing, is_too_long};
pub use interfaces::interface_addresses;
pub(crate) use messages::Messages;
pub use network_changes::NetworkChanges;
pub use socket::CAN_SHARE_PORTS;
pub(crate) use socket::{
    Socket, granted_buffers, prepare, prepare_multicast, set_receive_buffer, set_send_buffer, share,
};
pub(crate) use watched::Watched;
