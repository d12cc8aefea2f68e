//! Many datagrams in one system call: `recvmmsg` and `sendmmsg`.
#![allow(unsafe_code)]

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use super::ancillary::{CONTROL_LEN, Control};
use super::sockaddr::SocketName;
use super::socket::Socket;
use crate::datagram::{Outgoing, Received};
use crate::local::LocalAddress;

/// The arrays of headers that one `recvmmsg` or `sendmmsg` works on.
///
/// The pointers in the headers are set before every call, from borrows that last as long as the call. Nothing reads them between
/// calls.
pub(crate) struct Messages {
    names: Box<[SocketName]>,
    controls: Box<[Control]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

// SAFETY: the pointers in `vectors` and `headers` are overwritten before they are used, so that nothing but plain memory moves to
// the other thread.
unsafe impl Send for Messages {}

impl Messages {
    /// Headers for `count` datagrams; at most 1024, the kernel's `UIO_MAXIOV`.
    pub(crate) fn new(count: usize) -> Self {
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
    pub(crate) fn capacity(&self) -> usize {
        self.headers.len()
    }

    /// Fills `buffer`, which is cut into slots of `slot` bytes, with the datagrams that wait on the socket. Returns how many those
    /// were. Never waits.
    pub(crate) fn receive(&mut self, socket: &Socket, buffer: &mut [u8], slot: usize) -> io::Result<usize> {
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
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                self.headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        // Negative exactly when the call failed.
        usize::try_from(result).map_err(|_| io::Error::last_os_error())
    }

    /// What the last [`Messages::receive`] reported of its first `count` datagrams.
    pub(crate) fn received(&self, count: usize) -> impl ExactSizeIterator<Item = Received> {
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
    pub(crate) fn load<'a>(&'a mut self, buffer: &'a [u8], outgoing: &[Outgoing], source_bound: bool) -> Loaded<'a> {
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
pub(crate) struct Loaded<'a> {
    headers: &'a mut [libc::mmsghdr],
    borrows: PhantomData<&'a [u8]>,
}

impl Loaded<'_> {
    /// How many datagrams there are.
    pub(crate) fn count(&self) -> usize {
        self.headers.len()
    }

    /// Sends from datagram `start` on, without waiting. Returns how many were sent before the first that was not. An error is the
    /// error of datagram `start`.
    pub(crate) fn send(&mut self, socket: &Socket, start: usize) -> io::Result<usize> {
        let headers = self.headers.get_mut(start..).unwrap_or_default();
        // SAFETY: `Messages::load` filled these headers with pointers into a buffer and arrays that stay borrowed for
        // the lifetime of `self`, with their true lengths.
        let result = unsafe {
            libc::sendmmsg(
                socket.as_fd().as_raw_fd(),
                headers.as_mut_ptr(),
                headers.len() as libc::c_uint,
                (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
            )
        };
        usize::try_from(result).map_err(|_| io::Error::last_os_error())
    }
}

fn empty_header() -> libc::mmsghdr {
    // SAFETY: integers and pointers, all of which are valid when zero. The fields cannot be named: with some C libraries there is
    // private padding between them.
    unsafe { std::mem::zeroed() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::breaks_socket;

    #[test]
    fn a_socket_that_is_none_any_more_is_an_error_and_not_an_empty_one() {
        let (read, _write) = std::io::pipe().unwrap();
        let none = Socket::new(socket2::Socket::from(std::os::fd::OwnedFd::from(read))).unwrap();
        let error = Messages::new(4).receive(&none, &mut [0; 64], 16).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK));
        assert!(breaks_socket(&error));
    }
}
