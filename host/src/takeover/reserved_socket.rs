//! The Unix socket at which a server waits for its successor, from before the server starts.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use introd_liveness::BEAT;
use rustix::net::sockopt;

/// A socket that is made, and not yet at its path: a server that cannot have one says so before it has admitted a client. Dropping it
/// removes it.
#[derive(Debug)]
pub struct ReservedSocket {
    path: PathBuf,
    /// Where it is until then: nobody looks for it there.
    temporary: PathBuf,
    listener: Option<UnixListener>,
}

impl ReservedSocket {
    /// Makes the socket, for the user of this process alone, in the folder of its later path.
    ///
    /// # Errors
    /// If it cannot be made there, or something else than a socket is at the path.
    pub fn make(path: &Path) -> anyhow::Result<Self> {
        replaceable(path)?;
        let (temporary, listener) = listen_beside(path).with_context(|| {
            format!(
                "cannot make the Unix socket {} for --takeover: give it a path in a folder that exists and is your own",
                path.display()
            )
        })?;
        Ok(Self { path: path.to_owned(), temporary, listener: Some(listener) })
    }

    /// Its later path, at which a server that runs may wait meanwhile.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it at its path, in the place of an older socket at once, so that there always is one. Gives the socket, and the inode by which it
    /// is told from others at this path.
    ///
    /// # Errors
    /// If something else than a socket has come to the path meanwhile, or the folder cannot be written.
    pub(super) fn open(mut self) -> anyhow::Result<(UnixListener, u64)> {
        replaceable(&self.path)?;
        let opened = || {
            let inode = std::fs::symlink_metadata(&self.temporary)?.ino();
            std::fs::rename(&self.temporary, &self.path)?;
            Ok::<_, io::Error>(inode)
        };
        let inode = opened().with_context(|| format!("cannot put a Unix socket at {}", self.path.display()))?;
        let listener = self.listener.take().context("the socket is open already")?;
        Ok((listener, inode))
    }
}

impl Drop for ReservedSocket {
    fn drop(&mut self) {
        if self.listener.is_some() {
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Refuses a path at which there is something that a socket would destroy.
fn replaceable(path: &Path) -> anyhow::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => bail!(
            "--takeover: {} is no Unix socket, and is left as it is: give a path at which there is nothing, or the socket of a server that \
             runs",
            path.display()
        ),
        _ => Ok(()),
    }
}

fn listen_beside(path: &Path) -> io::Result<(PathBuf, UnixListener)> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(name);
    // One that a process with the same number has left.
    if std::fs::symlink_metadata(&temporary).is_ok_and(|found| found.file_type().is_socket()) {
        std::fs::remove_file(&temporary)?;
    }
    let listener = UnixListener::bind(&temporary)?;
    let adjust = || {
        // The thread that waits there shows now and then that it goes on.
        sockopt::set_socket_timeout(&listener, sockopt::Timeout::Recv, Some(BEAT))?;
        std::fs::set_permissions(&temporary, Permissions::from_mode(0o600))
    };
    if let Err(error) = adjust() {
        let _ = std::fs::remove_file(&temporary);
        return Err(error);
    }
    Ok((temporary, listener))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn it_takes_the_place_of_a_socket_and_of_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let path = folder.join("socket");
        let (_first, inode) = ReservedSocket::make(&path).unwrap().open().unwrap();
        let (_second, other) = ReservedSocket::make(&path).unwrap().open().unwrap();
        assert_ne!(inode, other);
        assert_eq!(std::fs::symlink_metadata(&path).unwrap().mode() & 0o777, 0o600);

        let file = folder.join("settings.xml");
        std::fs::write(&file, "precious").unwrap();
        let link = folder.join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for taken in [file.as_path(), &link, folder] {
            let error = ReservedSocket::make(taken).unwrap_err().to_string();
            assert!(error.contains("is no Unix socket") && error.contains(&taken.display().to_string()), "{error}");
        }
        // What comes to the path later is not destroyed either.
        let late = folder.join("late");
        let reserved = ReservedSocket::make(&late).unwrap();
        std::fs::write(&late, "precious").unwrap();
        assert!(reserved.open().is_err());
        assert_eq!([&file, &late].map(|file| std::fs::read_to_string(file).unwrap()), ["precious"; 2]);
        assert_eq!(names(folder), ["late", "link", "settings.xml", "socket"]);
    }

    #[test]
    fn a_folder_that_is_missing_is_an_error_that_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = ReservedSocket::make(&folder.path().join("missing/socket")).unwrap_err().to_string();
        assert!(error.contains("a folder that exists"), "{error}");
    }
}
