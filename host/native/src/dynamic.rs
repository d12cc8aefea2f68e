//! Loading shared libraries into the process.

use std::error::Error as _;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use introd_plugin::files;
use libloading::os::unix::{Library as Dynamic, RTLD_LOCAL, RTLD_NOW};
use rustix::fs::MemfdFlags;

use super::crash::{self, Stage};
use super::elf;

/// Loads the library in a file. It stays loaded, even if it is of no use: its threads and thread-local values may outlive everything.
pub(super) fn open(path: &Path) -> Result<Dynamic, String> {
    open_as(path, path)
}

/// Loads a copy of the file: by its own name the system would find the version that is loaded already.
pub(super) fn open_beside(path: &Path) -> Result<Dynamic, String> {
    let copy = || -> io::Result<File> {
        let mut copy = File::from(rustix::fs::memfd_create(c"introd-plugin", MemfdFlags::CLOEXEC)?);
        io::copy(&mut files::open(path)?.0, &mut copy)?;
        Ok(copy)
    };
    let copy = copy().map_err(|error| error.to_string())?;
    let name = format!("/proc/self/fd/{}", copy.as_raw_fd());
    let opened = open_as(Path::new(&name), path)?;
    // The name stands for this copy for as long as the library is loaded, that is for ever.
    std::mem::forget(copy);
    Ok(opened)
}

/// Loads the library under one name; a crash is told of the other.
fn open_as(name: &Path, path: &Path) -> Result<Dynamic, String> {
    crash::install();
    let label = format!("the library {}", path.display());
    let opened = crash::during(&label, Stage::Load, || {
        // SAFETY: the configuration names this library, so that its code is to run in this process.
        unsafe { Dynamic::open(Some(name), RTLD_NOW | RTLD_LOCAL | libc::RTLD_NODELETE) }
    });
    opened.map_err(|error| {
        // What the system says stands in the source.
        let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        elf::mismatch(path).unwrap_or_else(|| explained(&text, name))
    })
}

/// What the system says of a library that it does not load, and what to do about that.
fn explained(text: &str, name: &Path) -> String {
    // It names the file again. Where it names another one, that one is missing or is the one at fault.
    let text = text.strip_prefix(&format!("{}: ", name.display())).unwrap_or(text);
    if let Some((missing, _)) = text.split_once(": cannot open shared object file: No such file or directory") {
        return format!(
            "it needs the library {missing}, which is not on this machine: install it, or set LD_LIBRARY_PATH"
        );
    }
    if text.starts_with("undefined symbol: ") || text.starts_with("symbol lookup error") {
        return format!("{text}: it is not linked with the library that has it, or with another version of that");
    }
    if text.contains("' not found (required by ") {
        return format!("{text}: it is built for a newer system; build it on this one");
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_system_are_explained() {
        for (text, expected) in [
            (
                "libodd.so.1: cannot open shared object file: No such file or directory",
                "it needs the library libodd.so.1, which is not on this machine: install it, or set LD_LIBRARY_PATH",
            ),
            (
                "/p/a.so: undefined symbol: odd",
                "undefined symbol: odd: it is not linked with the library that has it, or with another version of that",
            ),
            (
                "/lib/libc.so.6: version `GLIBC_9.9' not found (required by /p/a.so)",
                "/lib/libc.so.6: version `GLIBC_9.9' not found (required by /p/a.so): it is built for a newer system; build it on this one",
            ),
            ("/p/a.so: invalid ELF header", "invalid ELF header"),
            ("something else", "something else"),
        ] {
            assert_eq!(explained(text, Path::new("/p/a.so")), expected);
        }
    }
}
