//! What an error of the system means, and what to do about it.

use std::io;
use std::net::SocketAddr;

/// Whether the socket or the call is wrong, so that calling again cannot help.
pub(crate) fn breaks_socket(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBADF | libc::ENOTSOCK | libc::EINVAL | libc::EFAULT | libc::ENOSYS))
}

/// Whether a datagram is longer than what the interface carries.
pub(crate) fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EMSGSIZE)
}

/// Whether an IPv6 address cannot be bound because the machine has no IPv6 at all.
pub(crate) fn is_ipv6_missing(error: &io::Error) -> bool {
    let codes = [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL, libc::EPROTONOSUPPORT];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// What an administrator can do if `address` cannot be bound; empty if nothing is known.
pub(crate) fn advice(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "; another program has this port, perhaps a server that is still running, or the same address is \
             configured twice: `ss -lunp sport = :{}` names the program; stop it or choose another port",
            address.port()
        ),
        io::ErrorKind::PermissionDenied => format!(
            "; port {} needs privileges this process lacks: choose a port of 1024 or above, or grant it \
             CAP_NET_BIND_SERVICE",
            address.port()
        ),
        io::ErrorKind::AddrNotAvailable => {
            "; this machine has no such address: `ip address` lists those it has; 0.0.0.0 and [::] stand for all".into()
        }
        _ if error.raw_os_error() == Some(libc::EAFNOSUPPORT) && address.is_ipv6() => {
            "; this machine has no IPv6: leave the address out".into()
        }
        _ => String::new(),
    }
}

/// What an administrator can do if buffers are smaller than asked for.
pub(crate) const BUFFER_ADVICE: &str = "raise the system's net.core.rmem_max and net.core.wmem_max";
