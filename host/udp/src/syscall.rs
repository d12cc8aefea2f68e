//! The system calls that neither std nor socket2 wrap: `recvmmsg`, `sendmmsg`, a few socket options, and the list of network
//! interfaces.
#![allow(unsafe_code)]

use std::io;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use crate::ancillary::{CONTROL_LEN, Control};
use crate::local::LocalAddress;
use crate::sockaddr::SocketName;

/// The arrays of headers that one `recvmmsg` or `sendmmsg` works on.
///
/// The pointers in the headers are set before every call, from borrows that last as long as the call. Nothing reads them between
/// calls.
pub(super) struct Messages {
    names: Box<[SocketName]>,
    controls: Box<[Control]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

// SAFETY: the pointers in `vectors` and `headers` are overwritten before they are used, so that nothing but plain memory moves to
// the other thread.
unsafe impl Send for Messages {}

/// What `recvmmsg` reports of one datagram.
pub(super) struct Received {
    /// How many bytes are in its slot.
    pub(super) len: usize,
    /// Whether it was longer than its slot.
    pub(super) truncated: bool,
    /// Its source; `None` if that is no IP address.
    pub(super) from: Option<SocketAddr>,
    /// The address that it came to, if the socket reports it.
    pub(super) local: LocalAddress,
}

/// One datagram to send. Its bytes are a range of the buffer.
pub(super) struct Outgoing {
    pub(super) to: SocketAddr,
    pub(super) local: LocalAddress,
    pub(super) bytes: Range<usize>,
}

impl Messages {
    /// Headers for `count` datagrams; at most 1024, the kernel's `UIO_MAXIOV`.
    pub(super) fn new(count: usize) -> Self {
        let count = count.clamp(1, libc::UIO_MAXIOV as usize);
        let vector = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        Self {
            names: vec![SocketName::EMPTY; count].into(),
            controls: vec![Control::EMPTY; count].into(),
            vectors: vec![vector; count].into(),
            headers: vec![empty_header(); count].into(),
        }
    }

    /// How many datagrams one call can receive or send.
    pub(super) fn capacity(&self) -> usize {
        self.headers.len()
    }

    /// Fills `buffer`, which is cut into slots of `slot` bytes, with the datagrams that wait on the socket. Returns how many those
    /// were. Never waits.
    pub(super) fn receive(&mut self, fd: BorrowedFd<'_>, buffer: &mut [u8], slot: usize) -> io::Result<usize> {
        let mut count = 0;
        let parts = self.names.iter_mut().zip(&mut self.controls).zip(&mut self.vectors).zip(&mut self.headers);
        for (bytes, (((name, control), vector), header)) in buffer.chunks_exact_mut(slot).zip(parts) {
            vector.iov_base = bytes.as_mut_ptr().cast();
            vector.iov_len = bytes.len();
            header.msg_hdr.msg_name = ptr::from_mut(name).cast();
            header.msg_hdr.msg_namelen = size_of::<SocketName>() as libc::socklen_t;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = ptr::from_mut(control).cast();
            header.msg_hdr.msg_controllen = CONTROL_LEN as _;
            header.msg_hdr.msg_flags = 0;
            header.msg_len = 0;
            count += 1;
        }
        // SAFETY: the first `count` headers were just filled with pointers into `buffer` and into this structure's own
        // arrays, all exclusively borrowed until the call returns, with their true lengths. A null timeout is allowed.
        let result = unsafe {
            libc::recvmmsg(fd.as_raw_fd(), self.headers.as_mut_ptr(), count, libc::MSG_DONTWAIT as _, ptr::null_mut())
        };
        // Negative exactly when the call failed.
        usize::try_from(result).map_err(|_| io::Error::last_os_error())
    }

    /// What the last [`Messages::receive`] reported of its first `count` datagrams.
    pub(super) fn received(&self, count: usize) -> impl ExactSizeIterator<Item = Received> {
        let parts = self.headers.iter().zip(&self.names).zip(&self.controls).take(count);
        parts.map(|((header, name), control)| Received {
            len: header.msg_len as usize,
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            from: name.get(header.msg_hdr.msg_namelen as usize),
            local: control.destination(header.msg_hdr.msg_controllen as _),
        })
    }

    /// Prepares the headers for as many datagrams of `outgoing` as fit. Their bytes are in `buffer`. With `source_bound` they name no source:
    /// the socket is bound to one address.
    pub(super) fn load<'a>(&'a mut self, buffer: &'a [u8], outgoing: &[Outgoing], source_bound: bool) -> Loaded<'a> {
        let mut count = 0;
        let parts = self.names.iter_mut().zip(&mut self.controls).zip(&mut self.vectors).zip(&mut self.headers);
        for ((((name, control), vector), header), datagram) in parts.zip(outgoing) {
            let bytes = buffer.get(datagram.bytes.clone()).unwrap_or_default();
            let local = if source_bound { LocalAddress::ANY } else { datagram.local.fit_for(datagram.to) };
            // sendmmsg only reads what iov_base points at.
            vector.iov_base = bytes.as_ptr().cast_mut().cast();
            vector.iov_len = bytes.len();
            header.msg_hdr.msg_namelen = name.set(datagram.to) as libc::socklen_t;
            header.msg_hdr.msg_name = ptr::from_mut(name).cast();
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_controllen = control.set_source(local) as _;
            header.msg_hdr.msg_control = ptr::from_mut(control).cast();
            header.msg_hdr.msg_flags = 0;
            header.msg_len = 0;
            count += 1;
        }
        Loaded { headers: &mut self.headers[..count], borrows: PhantomData }
    }
}

/// Datagrams ready for `sendmmsg`. Holds the borrows of everything that the headers point at.
pub(super) struct Loaded<'a> {
    headers: &'a mut [libc::mmsghdr],
    borrows: PhantomData<&'a [u8]>,
}

impl Loaded<'_> {
    /// How many datagrams there are.
    pub(super) fn count(&self) -> usize {
        self.headers.len()
    }

    /// Sends from datagram `start` on, without waiting. Returns how many were sent before the first that was not. An error is the
    /// error of datagram `start`.
    pub(super) fn send(&mut self, fd: BorrowedFd<'_>, start: usize) -> io::Result<usize> {
        let headers = self.headers.get_mut(start..).unwrap_or_default();
        // SAFETY: `Messages::load` filled these headers with pointers into a buffer and arrays that stay borrowed for
        // the lifetime of `self`, with their true lengths.
        let result = unsafe {
            libc::sendmmsg(
                fd.as_raw_fd(),
                headers.as_mut_ptr(),
                headers.len() as libc::c_uint,
                (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
            )
        };
        usize::try_from(result).map_err(|_| io::Error::last_os_error())
    }
}

/// Sets an integer socket option.
pub(super) fn set_option(fd: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: the pointer is to a live int and the length is an int's.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            ptr::from_ref(&value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn empty_header() -> libc::mmsghdr {
    // SAFETY: integers and pointers, all of which are valid when zero. The fields cannot be named: with some C libraries there is
    // private padding between them.
    unsafe { std::mem::zeroed() }
}

/// An address of a network interface.
pub(super) struct InterfaceEntry {
    /// The kernel's index of the interface; 0 if it has just gone.
    pub(super) index: u32,
    /// `IFF_UP` and others.
    pub(super) flags: u32,
    pub(super) address: SocketAddr,
    /// The mask of the interface's network, as an address; `None` if the kernel names none.
    pub(super) netmask: Option<IpAddr>,
}

/// The IP addresses of this machine's network interfaces, at most `max`.
pub(super) fn interface_entries(max: usize) -> io::Result<Vec<InterfaceEntry>> {
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
