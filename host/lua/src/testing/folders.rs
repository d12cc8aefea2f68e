//! The folders with tests.

use std::io;
use std::path::{Path, PathBuf};

/// How deep below a folder applications are looked for. Links may lead in circles.
const MAX_DEPTH: usize = 8;

/// An application with tests.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tested {
    pub(super) folder: PathBuf,
    /// The names of the files with tests, in their order.
    pub(super) files: Vec<String>,
}

/// What there is to run below a folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The applications with tests, in the order of the names of their folders.
    pub(super) applications: Vec<Tested>,
    /// Folders with a script and without tests, outside of those with tests.
    pub(super) untested: Vec<PathBuf>,
}

/// The files with tests in a folder, in the order of their names.
fn test_files(folder: &Path) -> io::Result<Vec<String>> {
    let names = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<io::Result<_>>()?;
    names.retain(|name| has_tests(name));
    names.sort();
    Ok(names)
}

/// Whether a file of this name has tests.
fn has_tests(name: &str) -> bool {
    name.ends_with("_test.lua")
}

/// Looks for tests in a folder and in those below it. A file with tests is found by itself.
pub(super) fn find(path: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    if !path.is_file() {
        look(path, false, 0, &mut found)?;
        return Ok(found);
    }
    match (path.parent(), path.file_name().and_then(|name| name.to_str())) {
        (Some(folder), Some(name)) if has_tests(name) => {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            found.applications.push(Tested { folder: folder.to_owned(), files: vec![name.to_owned()] });
            Ok(found)
        }
        _ => Err(io::Error::other("this is a file, and not one with tests: those are named *_test.lua")),
    }
}

fn look(folder: &Path, is_inside: bool, depth: usize, found: &mut Found) -> io::Result<()> {
    let mut is_inside = is_inside;
    let files = test_files(folder)?;
    if !files.is_empty() {
        found.applications.push(Tested { folder: folder.to_owned(), files });
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
