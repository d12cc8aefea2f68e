//! Taking traffic down, on any thread.

use std::fs::{OpenOptions, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::file::{self, Summary};
use super::recording::{Captured, Recording};
use super::session::{SessionRecord, canonical};

/// How much a recording may hold. Deciphering it takes about as much memory again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingLimits {
    /// Datagrams.
    pub packets: usize,
    /// Bytes of datagrams.
    pub bytes: usize,
    /// Sessions.
    pub sessions: usize,
}

impl Default for RecordingLimits {
    /// 200,000 datagrams, 128 MiB of them, 10,000 sessions.
    fn default() -> Self {
        Self { packets: 200_000, bytes: 128 << 20, sessions: 10_000 }
    }
}

/// A recording under way. Clones are handles of the same recording, for any thread.
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    limits: RecordingLimits,
    /// `None` once finished.
    recording: Mutex<Option<Recording>>,
}

impl Recorder {
    /// Begins a recording with the default [`RecordingLimits`]. The file is made at once, readable by its owner only, and stays empty
    /// until [`Self::finish`]; a file that was there is overwritten.
    ///
    /// # Errors
    /// Those of making the file; [`io::ErrorKind::InvalidInput`] if `path` is something other than a file.
    pub fn create(path: impl AsRef<Path>, description: impl Into<String>) -> io::Result<Self> {
        Self::with_limits(path, description, RecordingLimits::default())
    }

    /// As [`Self::create`], with other limits.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn with_limits(
        path: impl AsRef<Path>,
        description: impl Into<String>,
        limits: RecordingLimits,
    ) -> io::Result<Self> {
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
        let recording = Mutex::new(Some(Recording::new(file, description.into())));
        Ok(Self(Arc::new(Shared { path, limits, recording })))
    }

    /// Names the peer at an address.
    pub fn peer(&self, address: SocketAddr, name: impl Into<String>) {
        if let Some(recording) = &mut *self.recording()
            && recording.peers.len() < self.0.limits.sessions
        {
            recording.peers.insert(canonical(address).to_string(), name.into());
        }
    }

    /// Records a datagram. Each should be recorded once, where it is sent or where it is received: if both ends are in this
    /// process, only one of them records. Retransmissions are datagrams of their own.
    pub fn datagram(&self, time: Instant, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        let mut guard = self.recording();
        let Some(recording) = &mut *guard else { return };
        let limits = self.0.limits;
        let full = recording.datagrams.len() >= limits.packets
            || limits.bytes.saturating_sub(recording.bytes.len()) < datagram.len();
        // Once one is left out, all later ones are: the file is the beginning of the traffic, without gaps.
        if full || recording.over_limit > 0 {
            recording.leave_out(&self.0.path);
            return;
        }
        recording.bytes.extend_from_slice(datagram);
        let (from, to, end) = (canonical(from), canonical(to), recording.bytes.len());
        recording.datagrams.push(Captured { time, from, to, end });
    }

    /// Records the keys of a session. May come after the session's datagrams. If both ends report a session, it is recorded
    /// once.
    pub fn session(&self, record: SessionRecord) {
        let mut guard = self.recording();
        let Some(recording) = &mut *guard else { return };
        if !recording.sessions.add(record, self.0.limits.sessions) {
            recording.leave_out(&self.0.path);
        }
    }

    /// Deciphers what was recorded and writes the file. Takes a few microseconds a datagram and blocks on the file; what is
    /// recorded through other handles afterwards is ignored.
    ///
    /// # Errors
    /// Those of writing the file; [`io::ErrorKind::Other`] if the recording is finished already.
    pub fn finish(&self) -> io::Result<Summary> {
        let recording = self.recording().take().ok_or_else(|| io::Error::other("the recording is finished already"))?;
        let summary = file::write(recording)?;
        tracing::info!(path = %self.0.path.display(), ?summary, "recording finished");
        Ok(summary)
    }

    fn recording(&self) -> MutexGuard<'_, Option<Recording>> {
        self.0.recording.lock()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.recording.get_mut().is_some() {
            tracing::warn!(path = %self.path.display(), "recording abandoned: nothing was written");
        }
    }
}

fn not_a_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "recordings go to a regular file")
}
