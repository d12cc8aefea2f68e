//! The file descriptors that a server needs after its start.

/// Scripts, lists and configurations are read while the server runs, and plugins connect to elsewhere.
pub(super) const SPARE_DESCRIPTORS: usize = 8;

/// Checks whether that many more files can be opened. A server that has just enough for its start works, but cannot load a script.
pub(crate) fn has_spare_descriptors(count: usize) -> std::io::Result<()> {
    let null = std::fs::File::open("/dev/null")?;
    (0..count).map(|_| null.try_clone()).collect::<std::io::Result<Vec<_>>>().map(drop)
}
