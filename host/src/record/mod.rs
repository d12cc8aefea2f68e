//! Recording traffic with its keys, so that anybody can decipher it and check it later.
//!
//! The file is JSON in the format of `tests/vectors`, which a decoder that shares nothing with this program understands: the
//! sessions with all their secrets, each datagram with what is in it, and the messages put together again.
//!
//! Everything is kept in memory until [`Recorder::finish`], within [`Limits`].

mod file;
mod messages;
mod opening;
mod peers;
mod session;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::fs::OFlags;
use rustix::io::Errno;

use self::session::Sessions;
pub use self::session::{EndRecord, Place, Role, SessionRecord};
pub use peers::PeerRecording;

/// How much is recorded at the most. Deciphering takes about as much memory again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Datagrams.
    pub packets: usize,
    /// Bytes of datagrams.
    pub bytes: usize,
    /// Sessions.
    pub sessions: usize,
}

impl Default for Limits {
    /// 200,000 datagrams, 128 MiB of them, 10,000 sessions.
    fn default() -> Self {
        Self { packets: 200_000, bytes: 128 << 20, sessions: 10_000 }
    }
}

/// What became of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Datagrams in the file.
    pub packets: usize,
    /// Datagrams left out because none of the recorded keys opens them.
    pub unopened: usize,
    /// Datagrams left out because they are the same packet as an earlier one, which the network delivered twice.
    pub repeated: usize,
    /// Datagrams and sessions left out because the recording was full.
    pub over_limit: usize,
    /// Sessions in the file.
    pub sessions: usize,
    /// Messages put together.
    pub messages: usize,
}

/// A recording under way. Clones are handles of the same recording, for any thread.
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    limits: Limits,
    /// `None` once finished.
    state: Mutex<Option<State>>,
}

/// What has been recorded.
#[derive(Debug)]
struct State {
    file: File,
    description: String,
    peers: BTreeMap<String, String>,
    sessions: Sessions,
    datagrams: Vec<Captured>,
    /// The datagrams' bytes, one after the other.
    bytes: Vec<u8>,
    over_limit: usize,
}

/// A datagram; its bytes end at `end`, and begin where those of the one before end.
#[derive(Clone, Copy, Debug)]
struct Captured {
    time: Instant,
    from: SocketAddr,
    to: SocketAddr,
    end: usize,
}

fn not_a_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "recordings go to a regular file")
}

impl Recorder {
    /// Begins a recording with the default [`Limits`]. The file is made at once, readable by its owner only, and stays empty
    /// until [`Self::finish`]; a file that was there is overwritten.
    ///
    /// # Errors
    /// Those of making the file; [`io::ErrorKind::InvalidInput`] if `path` is something else than a file.
    pub fn create(path: impl AsRef<Path>, description: impl Into<String>) -> io::Result<Self> {
        Self::with_limits(path, description, Limits::default())
    }

    /// As [`Self::create`], with other limits.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn with_limits(path: impl AsRef<Path>, description: impl Into<String>, limits: Limits) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let mut options = OpenOptions::new();
        // A FIFO that nobody reads is not waited for.
        options.write(true).create(true).truncate(true).mode(0o600).custom_flags(OFlags::NONBLOCK.bits() as i32);
        let file = options.open(&path).map_err(|error| match error.raw_os_error() {
            Some(number) if number == Errno::NXIO.raw_os_error() => not_a_file(),
            _ => error,
        })?;
        if !file.metadata()?.is_file() {
            return Err(not_a_file());
        }
        // A file that was there has kept its own mode.
        file.set_permissions(Permissions::from_mode(0o600))?;
        tracing::warn!(path = %path.display(), "recording traffic: the file will hold the keys of every session recorded");
        let state = State {
            file,
            description: description.into(),
            peers: BTreeMap::new(),
            sessions: Sessions::default(),
            datagrams: Vec::new(),
            bytes: Vec::new(),
            over_limit: 0,
        };
        Ok(Self(Arc::new(Shared { path, limits, state: Mutex::new(Some(state)) })))
    }

    /// Says who is at an address.
    pub fn peer(&self, address: SocketAddr, who: impl Into<String>) {
        if let Some(state) = &mut *self.state()
            && state.peers.len() < self.0.limits.sessions
        {
            state.peers.insert(canonical(address).to_string(), who.into());
        }
    }

    /// Records a datagram. Each should be recorded once, where it is sent or where it is received: if both ends are in this
    /// process, only one of them records. Retransmissions are datagrams of their own.
    pub fn datagram(&self, time: Instant, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        let mut guard = self.state();
        let Some(state) = &mut *guard else { return };
        let limits = self.0.limits;
        let full =
            state.datagrams.len() >= limits.packets || limits.bytes.saturating_sub(state.bytes.len()) < datagram.len();
        // Once one is left out, all later ones are: the file is the beginning of the traffic, without gaps.
        if full || state.over_limit > 0 {
            state.leave_out(&self.0.path);
            return;
        }
        state.bytes.extend_from_slice(datagram);
        let (from, to, end) = (canonical(from), canonical(to), state.bytes.len());
        state.datagrams.push(Captured { time, from, to, end });
    }

    /// Records the keys of a session. May come after the session's datagrams. If both ends report a session, it is recorded
    /// once.
    pub fn session(&self, record: SessionRecord) {
        let mut guard = self.state();
        let Some(state) = &mut *guard else { return };
        if !state.sessions.add(record, self.0.limits.sessions) {
            state.leave_out(&self.0.path);
        }
    }

    /// Deciphers what was recorded and writes the file. Takes a few microseconds a datagram and blocks on the file; what is
    /// recorded through other handles afterwards is ignored.
    ///
    /// # Errors
    /// Those of writing the file; [`io::ErrorKind::Other`] if the recording is finished already.
    pub fn finish(&self) -> io::Result<Summary> {
        let state = self.state().take().ok_or_else(|| io::Error::other("the recording is finished already"))?;
        let summary = file::write(state)?;
        tracing::info!(path = %self.0.path.display(), ?summary, "recording finished");
        Ok(summary)
    }

    // Whoever panicked has at the most lost a datagram.
    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn leave_out(&mut self, path: &Path) {
        if self.over_limit == 0 {
            let packets = self.datagrams.len();
            tracing::warn!(path = %path.display(), packets, "recording full: the rest is left out");
        }
        self.over_limit += 1;
    }

    /// The datagrams with their bytes, in the order recorded.
    fn datagrams(&self) -> impl Iterator<Item = (&Captured, &[u8])> {
        let mut start = 0;
        self.datagrams.iter().map(move |captured| {
            let bytes = self.bytes.get(start..captured.end).unwrap_or_default();
            start = captured.end;
            (captured, bytes)
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.state.get_mut().unwrap_or_else(PoisonError::into_inner).is_some() {
            tracing::warn!(path = %self.path.display(), "recording abandoned: nothing was written");
        }
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
