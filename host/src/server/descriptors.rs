//! File descriptors that a server needs besides those that it has when it starts.

/// Scripts, lists and configurations are read while the server runs, and plugins connect to elsewhere.
pub(super) const SPARE_DESCRIPTORS: usize = 8;

/// Can so many more files be opened? A server that has just enough for its start works, but cannot load a script.
pub(crate) fn has_spare_descriptors(count: usize) -> std::io::Result<()> {
    let null = std::fs::File::open("/dev/null")?;
    (0..count).map(|_| null.try_clone()).collect::<std::io::Result<Vec<_>>>().map(drop)
}
