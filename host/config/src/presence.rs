//! Whether there is a file or a folder at a path. One that cannot be examined does not count as absent, because it may be a file that
//! keeps clients out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What there is at a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// Nothing.
    Absent,
    /// A regular file, or a link to one.
    File,
    /// A folder, or a link to one.
    Folder,
    /// Something that is neither, or that cannot be looked at, with what is wrong about it.
    Other(String),
}

impl Presence {
    pub(super) fn of(path: &Path) -> Self {
        match fs::metadata(path) {
            Ok(about) if about.is_file() => Self::File,
            Ok(about) if about.is_dir() => Self::Folder,
            Ok(_) => Self::Other("it is neither a file nor a folder".into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::symlink_metadata(path) {
                Ok(_) => Self::Other("it is a link that leads nowhere".into()),
                Err(_) => Self::Absent,
            },
            // A file stands where the path goes through a folder.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Self::Absent,
            Err(error) => Self::Other(format!("it cannot be looked at: {error}")),
        }
    }

    /// What is wrong with it if it is to be a file; `None` if it is one, or absent.
    pub(super) fn unless_file(self) -> Option<String> {
        match self {
            Self::Absent | Self::File => None,
            Self::Folder => Some("it is a folder".into()),
            Self::Other(why) => Some(why),
        }
    }
}

/// Everything in a folder whose name does not begin with a dot, by name; at most `max` and one more. Nothing if the folder is absent.
///
/// # Errors
/// If the folder cannot be listed to its end.
pub(super) fn list(folder: &Path, max: usize) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound && Presence::of(folder) == Presence::Absent => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let is_hidden = |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let is_shown = |path: &io::Result<PathBuf>| path.as_ref().map_or(true, |path| !is_hidden(path));
    let mut paths: Vec<PathBuf> = paths.filter(is_shown).take(max + 1).collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}
