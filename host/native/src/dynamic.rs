//! Loading shared libraries into the process.

use std::error::Error as _;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use introd_plugin::files;
use libloading::os::unix::{Library as Dynamic, RTLD_LOCAL, RTLD_NOW};
use rustix::fs::MemfdFlags;

/// Loads the library in a file. It stays loaded, even if it is of no use: its threads and thread-local values may outlive everything.
pub(super) fn open(path: &Path) -> Result<Dynamic, String> {
    // SAFETY: the configuration names this library, so that its code is to run in this process.
    unsafe { Dynamic::open(Some(path), RTLD_NOW | RTLD_LOCAL | libc::RTLD_NODELETE) }.map_err(|error| {
        // What the system says stands in the source.
        let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        // It names the file again; where it names another one, that one is missing.
        text.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&text).to_owned()
    })
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
    let opened = open(Path::new(&name))?;
    // The name stands for this copy for as long as the library is loaded, that is for ever.
    std::mem::forget(copy);
    Ok(opened)
}
