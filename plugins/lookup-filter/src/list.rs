//! List files: one value a line, read again when they change.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use introd_plugin::{PeerId, files};

use crate::range::AddressRange;

/// The largest list file, in bytes. It holds about a million peer IDs.
const MAX_BYTES: u64 = 64 << 20;

/// A list file cannot be read.
#[derive(Debug)]
pub(crate) struct ListError(String);

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The lines of a list file, in each of the ways that a rule can use them.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    texts: HashSet<String>,
    peers: HashSet<PeerId>,
    ranges: Vec<AddressRange>,
}

impl Entries {
    /// Reads the lines. Empty lines and lines that begin with `#` are ignored.
    fn parse(text: &str) -> Self {
        let mut entries = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Ok(peer) = line.parse() {
                entries.peers.insert(peer);
            } else if let Some(range) = AddressRange::parse(line) {
                entries.ranges.push(range);
            }
            entries.texts.insert(line.to_owned());
        }
        entries
    }

    pub(crate) fn has_peer(&self, peer: &PeerId) -> bool {
        self.peers.contains(peer)
    }

    pub(crate) fn has_address(&self, address: std::net::IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(address))
    }

    pub(crate) fn has_text(&self, text: &str) -> bool {
        self.texts.contains(text)
    }
}

/// A list file and its entries.
#[derive(Debug)]
pub(crate) struct ListFile {
    path: PathBuf,
    entries: RwLock<Entries>,
    stamp: Mutex<Option<Stamp>>,
}

/// If it differs, the file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl ListFile {
    /// Reads a file for the first time.
    pub(crate) fn read(path: PathBuf) -> Result<Self, ListError> {
        let (stamp, entries) = read(&path, None)?.unwrap_or_default();
        Ok(Self { path, entries: RwLock::new(entries), stamp: Mutex::new(stamp) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn with<R>(&self, look: impl FnOnce(&Entries) -> R) -> R {
        look(&self.entries.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the file again if it has changed, and returns how many entries it has then. An error is returned only once: until the file
    /// is readable again, later calls return `None`.
    pub(crate) fn refresh(&self) -> Result<Option<usize>, ListError> {
        let mut stamp = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        match read(&self.path, *stamp) {
            Ok(None) => Ok(None),
            Ok(Some((new, entries))) => {
                *stamp = new;
                let count = entries.texts.len();
                *self.entries.write().unwrap_or_else(PoisonError::into_inner) = entries;
                Ok(Some(count))
            }
            Err(error) => {
                if stamp.take().is_some() {
                    Err(error)
                } else {
                    Ok(None)
                }
            }
        }
    }
}

type Read = (Option<Stamp>, Entries);

/// Reads a list file; `None` if its stamp is still the known one.
fn read(path: &Path, known: Option<Stamp>) -> Result<Option<Read>, ListError> {
    let failed = |error: std::io::Error| ListError(format!("{}: {error}", path.display()));
    let (_, about) = files::open(path).map_err(failed)?;
    let stamp = Stamp { bytes: about.len(), modified: about.modified().ok() };
    if known == Some(stamp) {
        return Ok(None);
    }
    if stamp.bytes > MAX_BYTES {
        return Err(ListError(format!("{} is larger than {} MB", path.display(), MAX_BYTES >> 20)));
    }
    let text = files::read_text(path, MAX_BYTES).map_err(failed)?;
    Ok(Some((Some(stamp), Entries::parse(&text))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_list_has_its_lines_without_comments_and_is_read_again_if_its_length_or_time_differs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let write = |text: &str, time| {
            std::fs::write(&path, text).unwrap();
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        };
        write("# no\n\n  chat \n192.0.2.0/24\r\n#192.0.3.0/24\n", time);
        let list = ListFile::read(path.clone()).unwrap();
        let has = |text: &str| list.with(|entries| entries.has_text(text));
        let has_address = |address: &str| list.with(|entries| entries.has_address(address.parse().unwrap()));
        assert!(has("chat") && has("192.0.2.0/24") && !has("# no") && !has("") && !has("chats"));
        assert!(has_address("192.0.2.7") && !has_address("192.0.3.7"));
        write("aa", time);
        assert_eq!((list.refresh().unwrap(), has("aa"), has("chat")), (Some(1), true, false));
        write("bb", time);
        assert_eq!((list.refresh().unwrap(), has("aa")), (None, true), "nothing shows that it has changed");
        write("bb", time + Duration::from_secs(1));
        assert_eq!((list.refresh().unwrap(), has("bb")), (Some(1), true));
        // What is too large, or gone, changes nothing, and is told once.
        std::fs::File::options().write(true).open(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert!(list.refresh().unwrap_err().to_string().contains("larger than 64 MB"));
        assert_eq!((list.refresh().unwrap(), has("bb")), (None, true));
        write("cc", time);
        assert_eq!((list.refresh().unwrap(), has("cc")), (Some(1), true));
        std::fs::remove_file(&path).unwrap();
    }
}
