//! The list of network interfaces: `getifaddrs`.
#![allow(unsafe_code)]

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ptr;

use super::sockaddr::SocketName;
use crate::interface_address::{InterfaceAddress, MAX_ADDRESSES, prefix_len};

/// The addresses of the network interfaces that are up, in the kernel's order, as they are now. It makes some system calls, and does not
/// wait.
///
/// # Errors
/// If the kernel does not say.
pub fn interface_addresses() -> io::Result<Vec<InterfaceAddress>> {
    let is = |flags: u32, flag: i32| flags & flag.cast_unsigned() != 0;
    let entries = interface_entries(MAX_ADDRESSES)?.into_iter();
    let up = entries.filter(|entry| entry.index != 0 && is(entry.flags, libc::IFF_UP));
    let address = |InterfaceEntry { index, flags, address, netmask }| InterfaceAddress {
        interface: index,
        address,
        prefix_len: prefix_len(address.ip(), netmask),
        is_loopback: is(flags, libc::IFF_LOOPBACK),
        is_multicast: is(flags, libc::IFF_MULTICAST),
    };
    Ok(up.map(address).collect())
}

/// An address of a network interface.
struct InterfaceEntry {
    /// The kernel's index of the interface; 0 if it has just gone.
    index: u32,
    /// `IFF_UP` and others.
    flags: u32,
    address: SocketAddr,
    /// The mask of the interface's network, as an address; `None` if the kernel names none.
    netmask: Option<IpAddr>,
}

/// The IP addresses of this machine's network interfaces, at most `max`.
fn interface_entries(max: usize) -> io::Result<Vec<InterfaceEntry>> {
    /// The list, which is freed at the end.
    struct List(*mut libc::ifaddrs);

    impl Drop for List {
        fn drop(&mut self) {
            // SAFETY: `getifaddrs` has made the list, nobody else has it, and no reference into it is left.
            unsafe { libc::freeifaddrs(self.0) };
        }
    }

    let mut first = ptr::null_mut();
    // SAFETY: the pointer is to a live pointer, which the call overwrites if it succeeds.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let list = List(first);
    let mut entries = Vec::new();
    let mut next = list.0;
    while entries.len() < max {
        // SAFETY: the pointer is null or to an entry of the list, which lives as long as `list`.
        let Some(entry) = (unsafe { next.as_ref() }) else { break };
        next = entry.ifa_next;
        // SAFETY: an entry's address and mask are null, or point to one of the list's names, which lives as long as `list`.
        let [address, netmask] = unsafe { [name_at(entry.ifa_addr), name_at(entry.ifa_netmask)] };
        let Some(address) = address else { continue };
        // SAFETY: the name of an entry's interface is a string that ends with zero.
        let index = unsafe { libc::if_nametoindex(entry.ifa_name) };
        let netmask = netmask.map(|mask| mask.ip());
        entries.push(InterfaceEntry { index, flags: entry.ifa_flags, address, netmask });
    }
    Ok(entries)
}

/// The IP address in a name of the kernel; `None` if there is none, or one of another family.
///
/// # Safety
/// The pointer is null, or to a name of the family that it begins with, whole.
unsafe fn name_at(name: *const libc::sockaddr) -> Option<SocketAddr> {
    // SAFETY: the caller promises it.
    let family = unsafe { name.as_ref() }?.sa_family;
    let len = SocketName::len_of(family.into())?;
    // SAFETY: a name of this family has this many bytes.
    let bytes = unsafe { std::slice::from_raw_parts(name.cast::<u8>(), len) };
    SocketName::of(bytes).get(len)
}
