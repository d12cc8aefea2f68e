//! Reading files that a configuration names, so that no file can hang the process or fill its memory.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// `O_NONBLOCK`: with it, opening a FIFO that has no writer returns at once. On platforms whose value is not known here, only the
/// check before the opening protects against a FIFO.
#[cfg(all(target_os = "linux", not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64"))))]
const NONBLOCK: i32 = 0o4000;
#[cfg(not(all(target_os = "linux", not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64")))))]
const NONBLOCK: i32 = 0;

/// Reads a whole regular file of at most `max` bytes. A FIFO, a device, a socket or a folder is an error, also behind a symbolic link,
/// and the function never waits for one.
///
/// # Errors
/// If the file does not exist, cannot be read, is not a regular file, or is longer.
pub fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let (file, about) = open(path)?;
    let too_long = || io::Error::new(io::ErrorKind::FileTooLarge, format!("the file is larger than {max} bytes"));
    if about.len() > max {
        return Err(too_long());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0) + 1);
    // The file may grow while it is read.
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max { Err(too_long()) } else { Ok(bytes) }
}

/// Reads a whole text file in UTF-8, as [`read`] does.
///
/// # Errors
/// As for [`read`], and if the file is not UTF-8.
pub fn read_text(path: &Path, max: u64) -> io::Result<String> {
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "the file is not UTF-8");
    String::from_utf8(read(path, max)?).map_err(not_text)
}

/// Opens a regular file for reading, and never waits for a writer.
///
/// # Errors
/// If the file does not exist, cannot be read, or is not a regular file.
pub fn open(path: &Path) -> io::Result<(File, Metadata)> {
    check(&std::fs::metadata(path)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, NONBLOCK);
    let file = options.open(path)?;
    // Another file may have taken its place since the check.
    let about = file.metadata()?;
    check(&about)?;
    Ok((file, about))
}

fn check(about: &Metadata) -> io::Result<()> {
    if about.is_file() {
        return Ok(());
    }
    let what = if about.is_dir() { "a folder" } else { "a FIFO, a device or a socket" };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what} and no regular file")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_files_are_read_up_to_a_bound_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (plain, fifo, link) = (folder.join("plain"), folder.join("fifo"), folder.join("zero"));
        std::fs::write(&plain, "0123456789").unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        let kind = |path: &Path, max| read(path, max).map_err(|error| error.kind());
        assert_eq!(kind(&plain, 10), Ok(b"0123456789".to_vec()));
        assert_eq!(kind(&plain, 9), Err(io::ErrorKind::FileTooLarge));
        for other in [fifo.as_path(), &link, folder] {
            assert_eq!(kind(other, 10), Err(io::ErrorKind::InvalidInput), "{}", other.display());
        }
        assert_eq!(kind(&folder.join("none"), 10), Err(io::ErrorKind::NotFound));
        std::fs::write(&plain, b"\xff").unwrap();
        assert_eq!(read_text(&plain, 10).map_err(|error| error.kind()), Err(io::ErrorKind::InvalidData));
    }
}
