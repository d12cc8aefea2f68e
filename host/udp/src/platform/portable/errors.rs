//! What an error of the system means, and what to do about it.

use std::io;
use std::net::SocketAddr;

/// The system's number for "no such address family", for which the standard library has no name.
const NO_FAMILY: i32 = if cfg!(windows) {
    10047
} else if cfg!(target_os = "linux") {
    97
} else {
    47
};
/// The same for "no such protocol".
const NO_PROTOCOL: i32 = if cfg!(windows) {
    10043
} else if cfg!(target_os = "linux") {
    93
} else {
    43
};

/// Whether the socket or the call is wrong, so that calling again cannot help.
pub(crate) fn breaks_socket(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// Whether a datagram is longer than what the interface carries.
pub(crate) fn is_too_long(error: &io::Error) -> bool {
    quinn_udp::is_msg_size_err(error)
}

/// Whether an IPv6 address cannot be bound because the machine has no IPv6 at all.
pub(crate) fn is_ipv6_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || matches!(error.raw_os_error(), Some(NO_FAMILY | NO_PROTOCOL))
}

/// What an administrator can do if `address` cannot be bound; empty if nothing is known.
pub(crate) fn advice(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "; another program has this port, perhaps a server that is still running, or the same address is configured twice: `netstat -an` \
             lists the ports that are in use; stop that program or choose another port than {port}"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "; port {port} needs privileges this process lacks, or another program has it for itself: choose another port, of 1024 or above"
        ),
        io::ErrorKind::AddrNotAvailable => {
            "; this machine has no such address: 0.0.0.0 and [::] stand for all that it has".into()
        }
        _ if error.raw_os_error() == Some(NO_FAMILY) && address.is_ipv6() => {
            "; this machine has no IPv6: leave the address out".into()
        }
        _ => String::new(),
    }
}

/// What an administrator can do if buffers are smaller than asked for.
pub(crate) const BUFFER_ADVICE: &str = "raise the system's limit for the buffers of sockets";
