//! The folders with tests.

use std::io;
use std::path::{Path, PathBuf};

/// How deep below a folder applications are looked for. Links may lead in circles.
const MAX_DEPTH: usize = 8;

/// What there is to run below a folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The folders with tests, in the order of their names.
    pub(super) applications: Vec<PathBuf>,
    /// Folders with a script and without tests, outside of those with tests.
    pub(super) untested: Vec<PathBuf>,
}

/// The files with tests in a folder, in the order of their names.
pub(super) fn test_files(folder: &Path) -> io::Result<Vec<String>> {
    let names = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<io::Result<_>>()?;
    names.retain(|name| name.ends_with("_test.lua"));
    names.sort();
    Ok(names)
}

/// Looks for tests in a folder and in those below it.
pub(super) fn find(folder: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    look(folder, false, 0, &mut found)?;
    Ok(found)
}

fn look(folder: &Path, is_inside: bool, depth: usize, found: &mut Found) -> io::Result<()> {
    let mut is_inside = is_inside;
    if !test_files(folder)?.is_empty() {
        found.applications.push(folder.to_owned());
        is_inside = true;
    } else if !is_inside && folder.join("main.lua").is_file() {
        found.untested.push(folder.to_owned());
    }
    if depth == MAX_DEPTH {
        return Ok(());
    }
    let mut inner: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    let is_hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    inner.retain(|path| path.is_dir() && !is_hidden(path));
    inner.sort();
    inner.iter().try_for_each(|path| look(path, is_inside, depth + 1, found))
}
