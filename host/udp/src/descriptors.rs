//! What sockets have on Unix alone: descriptors, which one process can pass on to another.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use socket2::{Socket, Type};

use crate::socket::{BufferSizes, UdpSocket};

impl UdpSocket {
    /// The socket behind a descriptor that another process has passed on: one that [`UdpSocket::bind`] made there, with all that it has set.
    ///
    /// # Errors
    /// If it is no UDP socket that is bound to an address.
    pub fn adopt(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = Socket::from(descriptor);
        if socket.r#type()? != Type::DGRAM {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a UDP socket"));
        }
        let granted = BufferSizes { receive: socket.recv_buffer_size()?, send: socket.send_buffer_size()? };
        Self::bound(socket, granted)
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.options().as_fd()
    }
}
