//! The messages to the service manager: datagrams to the socket that `NOTIFY_SOCKET` names.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The most messages that wait for room. The oldest one gives way to another.
const MAX_WAITING: usize = 16;

/// The way to the service manager.
#[derive(Debug)]
pub(super) struct Messages {
    manager: Option<(UnixDatagram, SocketAddr)>,
    waiting: VecDeque<String>,
    has_failed: bool,
}

impl Messages {
    /// Messages to the socket of this name, which is a path, or begins with `@` if it is in the abstract namespace. `None`: nobody is told.
    pub(super) fn to(name: Option<&OsStr>) -> Self {
        let manager = name.and_then(|name| match open(name) {
            Ok(manager) => Some(manager),
            Err(error) => {
                let socket = name.to_string_lossy();
                tracing::warn!(%socket, %error, "the service manager cannot be told how the server is: NOTIFY_SOCKET names no socket");
                None
            }
        });
        Self { manager, waiting: VecDeque::new(), has_failed: false }
    }

    /// Sends a message, now or at the next [`Self::flush`] that finds room.
    pub(super) fn send(&mut self, message: String) {
        if self.manager.is_none() {
            return;
        }
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(message);
        self.flush();
    }

    /// Sends what waits, as far as there is room.
    pub(super) fn flush(&mut self) {
        let Some((socket, manager)) = &self.manager else { return };
        while let Some(message) = self.waiting.front() {
            match socket.send_to_addr(message.as_bytes(), manager) {
                Ok(_) => self.has_failed = false,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    // It may come back: a service manager can be started again, too.
                    if !std::mem::replace(&mut self.has_failed, true) {
                        tracing::warn!(%error, "the service manager does not take what the server tells it");
                    }
                }
            }
            self.waiting.pop_front();
        }
    }

    /// Whether messages wait for room.
    pub(super) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

fn open(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        _ => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "neither an absolute path nor a name that begins with @",
            ));
        }
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}
