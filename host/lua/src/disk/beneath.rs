//! Opens files below a folder, and nothing outside it, whatever links there are and whoever changes them meanwhile.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::{Contents, leads_out};

/// The longest name of a file, with its folders.
const MAX_NAME: usize = 1024;

/// What tells one content of a file from another, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileState {
    /// There is no such file, or none that may be read.
    Absent,
    /// There is a file.
    Present {
        /// Its number on its file system: another one if the file was replaced.
        inode: u64,
        /// Its length in bytes.
        size: u64,
        /// When it was written last, in seconds and nanoseconds.
        written: (i64, u64),
    },
}

/// Whether a name is one of a file below a folder: relative, and without `..`.
pub(crate) fn is_below(name: &str) -> bool {
    let is_plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    !name.is_empty()
        && name.len() <= MAX_NAME
        && !name.contains(['\0', '\\'])
        && !name.ends_with('/')
        && Path::new(name).components().all(is_plain)
}

/// Reads a whole regular file of at most `max` bytes.
pub(crate) fn read(folder: &Path, name: &str, max: u64) -> Contents {
    if !is_below(name) {
        return Err(leads_out(name));
    }
    let too_large = || {
        format!("{name:?} is larger than the {max} bytes that ScriptEngine/File/MaxFileSize in Application.xml allows")
    };
    let (file, about) = open(folder, name).map_err(|error| explain(name, error))?;
    let size = u64::try_from(about.st_size).unwrap_or_default();
    if size > max {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
    // The file may grow while it is read.
    let result = file.take(max.saturating_add(1)).read_to_end(&mut bytes);
    result.map_err(|error| format!("{name:?} cannot be read: {error}"))?;
    if bytes.len() as u64 > max { Err(too_large()) } else { Ok(bytes) }
}

/// The state of a file. One that cannot be read counts as absent.
pub(crate) fn state(folder: &Path, name: &str) -> FileState {
    let found = if is_below(name) { find(folder, name) } else { Err(Errno::NOENT) };
    let Ok((_, about)) = found else { return FileState::Absent };
    FileState::Present {
        inode: about.st_ino,
        size: u64::try_from(about.st_size).unwrap_or_default(),
        written: (about.st_mtime, about.st_mtime_nsec),
    }
}

fn explain(name: &str, error: Errno) -> String {
    match error {
        Errno::NOENT | Errno::NOTDIR => format!("there is no file {name:?} in the application's folder"),
        Errno::XDEV | Errno::LOOP => leads_out(name),
        Errno::INVAL => format!("{name:?} is no regular file"),
        error => format!("{name:?} cannot be opened: {}", io::Error::from(error)),
    }
}

/// Opens a regular file to read it. A FIFO or a device is never opened.
fn open(folder: &Path, name: &str) -> Result<(File, Stat), Errno> {
    find(folder, name)?;
    // Another file may have taken its place: this never waits for the writer of a FIFO, and looks once more.
    let file = open_beneath(folder, name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    let about = regular(&file)?;
    Ok((File::from(file), about))
}

/// Finds a regular file without opening it.
fn find(folder: &Path, name: &str) -> Result<(OwnedFd, Stat), Errno> {
    let file = open_beneath(folder, name, OFlags::PATH)?;
    let about = regular(&file)?;
    Ok((file, about))
}

fn regular(file: &OwnedFd) -> Result<Stat, Errno> {
    let about = rustix::fs::fstat(file)?;
    if FileType::from_raw_mode(about.st_mode) == FileType::RegularFile { Ok(about) } else { Err(Errno::INVAL) }
}

fn open_beneath(folder: &Path, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(&folder, name, flags, Mode::empty(), resolve) {
        // The kernel is older than the call, or a sandbox does not know it.
        Err(Errno::NOSYS | Errno::PERM) => walk(folder, name, flags),
        result => result,
    }
}

/// The same without `openat2`: part by part, and through no symbolic link at all.
fn walk(folder: OwnedFd, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut at = folder;
    let mut parts = Path::new(name).components().filter(|part| *part != Component::CurDir).peekable();
    while let Some(part) = parts.next() {
        let flags = if parts.peek().is_none() { flags } else { OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC };
        at = rustix::fs::openat(&at, part.as_os_str(), flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;

    struct Folders(TempDir);

    impl Folders {
        /// An application's folder `app`, and a file outside it.
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name);
            std::fs::create_dir_all(at("app/sub")).unwrap();
            std::fs::write(at("secret"), "secret").unwrap();
            std::fs::write(at("app/plain"), "0123456789").unwrap();
            std::fs::write(at("app/sub/deep"), "deep").unwrap();
            Self(folder)
        }

        fn app(&self) -> PathBuf {
            self.0.path().join("app")
        }
    }

    #[test]
    fn files_of_the_folder_are_read_up_to_a_bound() {
        let folders = Folders::new();
        let app = folders.app();
        assert_eq!(read(&app, "plain", 10).unwrap(), b"0123456789");
        assert_eq!(read(&app, "./sub/./deep", 10).unwrap(), b"deep");
        assert!(read(&app, "plain", 9).unwrap_err().contains("MaxFileSize"));
        assert!(read(&app, "none", 9).unwrap_err().contains("there is no file \"none\""));
        assert!(read(&app, "plain/x", 9).unwrap_err().contains("there is no file"));
        std::fs::write(app.join("empty"), "").unwrap();
        assert_eq!(read(&app, "empty", 0).unwrap(), b"");
    }

    #[test]
    fn nothing_outside_the_folder_is_reached_by_a_name_or_a_link() {
        let folders = Folders::new();
        let app = folders.app();
        symlink("../secret", app.join("out")).unwrap();
        symlink(folders.0.path().join("secret"), app.join("absolute")).unwrap();
        symlink("..", app.join("up")).unwrap();
        symlink("/proc/self/root", app.join("root")).unwrap();
        symlink("circle", app.join("circle")).unwrap();
        symlink("sub/deep", app.join("within")).unwrap();
        let long = "x/".repeat(MAX_NAME) + "x";
        let absolute = folders.0.path().join("secret").display().to_string();
        for name in [
            "../secret",
            "sub/../../secret",
            "sub/../plain",
            "/etc/passwd",
            &absolute,
            "",
            ".",
            "..",
            "sub\\deep",
            "pl\0ain",
            "sub/",
            &long,
            "out",
            "absolute",
            "up/secret",
            "root/etc/passwd",
            "circle",
        ] {
            assert!(read(&app, name, 100).is_err(), "{name:?}");
            assert_eq!(state(&app, name), FileState::Absent, "{name:?}");
        }
        // A link that stays within the folder is followed, where the kernel can tell.
        assert_eq!(read(&app, "within", 100).unwrap(), b"deep");
        // Without the kernel's help none is.
        let folder = || rustix::fs::open(&app, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let walked = |name: &str| walk(folder(), name, OFlags::RDONLY).is_ok();
        assert!(walked("plain") && walked("./sub/deep"));
        assert!(!walked("within") && !walked("out") && !walked("up/secret") && !walked("root/etc/passwd"));
    }

    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let folders = Folders::new();
        let app = folders.app();
        let fifo = app.join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(app.join("socket")).unwrap();
        for name in ["fifo", "socket", "sub"] {
            assert!(read(&app, name, 100).unwrap_err().contains("no regular file"), "{name}");
            assert_eq!(state(&app, name), FileState::Absent, "{name}");
        }
    }

    #[test]
    fn a_file_that_was_written_replaced_or_removed_is_in_another_state() {
        let folders = Folders::new();
        let app = folders.app();
        let mut states = vec![state(&app, "plain")];
        std::fs::write(app.join("plain"), "longer than before").unwrap();
        states.push(state(&app, "plain"));
        // The same length and time, and another file.
        std::fs::write(app.join("other"), "longer than before").unwrap();
        let time = std::fs::metadata(app.join("plain")).unwrap().modified().unwrap();
        File::options().write(true).open(app.join("other")).unwrap().set_modified(time).unwrap();
        std::fs::rename(app.join("other"), app.join("plain")).unwrap();
        states.push(state(&app, "plain"));
        std::fs::remove_file(app.join("plain")).unwrap();
        states.push(state(&app, "plain"));
        for (index, state) in states.iter().enumerate() {
            assert!(!states[..index].contains(state), "{states:?}");
        }
        assert_eq!((state(&app, "sub/deep"), states[3]), (state(&app, "sub/deep"), FileState::Absent));
    }
}
