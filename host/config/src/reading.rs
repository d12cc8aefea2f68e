//! The reading of a folder while it goes on: its files and folders, and what is found in them.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use super::config::Broken;
use super::key::File;
use super::presence::{self, Presence};
use super::problem::{Findings, Place, Problem};
use super::variables::Variables;
use super::view::View;
use super::xml::Element;
use super::{names, source};

/// The folder of the default adaptor, and its name.
pub(super) const DEFAULT_ADAPTOR: &str = "_defaultRoot_";
/// The folder of an adaptor's default virtual host, and its name.
pub const DEFAULT_VHOST: &str = "_defaultVHost_";
/// The most files and folders in a folder.
const MAX_ENTRIES: usize = 10_000;

/// The work while it goes on.
pub(super) struct Reading<'a> {
    pub(super) root: &'a Path,
    pub(super) variables: &'a Variables<'a>,
    pub(super) findings: Findings,
    pub(super) broken: Vec<Broken>,
    /// What was read, but for the files of applications.
    pub(super) files: Vec<PathBuf>,
}

impl Reading<'_> {
    /// Reads a file into its type; one that is missing or broken reads as the defaults.
    pub(super) fn read<S: File, T>(&mut self, path: &Path, read: impl FnOnce(&View<'_, S>) -> T) -> T {
        let tree = self.tree::<S>(path);
        self.view(tree.as_ref(), read)
    }

    /// The checked tree of a file.
    pub(super) fn tree<S: File>(&mut self, path: &Path) -> Option<Element> {
        let schema = S::schema();
        // Each adaptor and each virtual host has its file in a folder of its own. Of the other files there is one each.
        let folder = path.parent().map(name_of).unwrap_or_default();
        let is_default = match schema.file {
            "Adaptor.xml" => folder == DEFAULT_ADAPTOR,
            "Vhost.xml" => folder == DEFAULT_VHOST,
            _ => true,
        };
        let tree = source::tree(path, schema, is_default, self.variables, &mut self.findings);
        if tree.is_some() {
            self.files.push(path.to_owned());
        }
        tree
    }

    /// Reads a tree into its type.
    pub(super) fn view<S: File, T>(&mut self, tree: Option<&Element>, read: impl FnOnce(&View<'_, S>) -> T) -> T {
        let found = RefCell::new(Findings::default());
        let value = read(&View::new(tree, &found));
        self.findings.append(found.into_inner());
        value
    }

    /// What is in a folder, by name.
    pub(super) fn list(&mut self, folder: &Path) -> Vec<PathBuf> {
        let place = || Place::whole(&folder.into());
        match presence::list(folder, MAX_ENTRIES) {
            Ok(entries) if entries.len() > MAX_ENTRIES => {
                let message = format!("the folder holds more than {MAX_ENTRIES} files and folders");
                self.findings.push(Problem::error(&place(), message));
                Vec::new()
            }
            Ok(entries) => entries,
            Err(error) => {
                self.findings.push(Problem::error(&place(), format!("the folder cannot be listed: {error}")));
                Vec::new()
            }
        }
    }

    /// The folders in a folder, by name.
    pub(super) fn folders(&mut self, folder: &Path) -> Vec<PathBuf> {
        let mut folders = Vec::new();
        for path in self.list(folder) {
            match Presence::of(&path) {
                Presence::Folder => folders.push(path),
                Presence::Other(why) => {
                    self.findings.push(Problem::error(&Place::whole(&path.as_path().into()), why));
                }
                Presence::File | Presence::Absent => (),
            }
        }
        folders
    }

    /// Warns of files that are not `known`: a misnamed file would be as good as none.
    pub(super) fn strangers(&mut self, folder: &Path, known: &[&str]) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_ours =
            |path: &PathBuf| path.is_file() && path.extension().is_some_and(|end| end == "xml" || end == "ini");
        let mut strangers: Vec<PathBuf> =
            entries.filter(is_ours).filter(|path| !known.contains(&name_of(path).as_str())).take(MAX_ENTRIES).collect();
        strangers.sort();
        for stranger in strangers {
            let hint = names::nearest(&name_of(&stranger), known.iter().copied());
            let hint = hint.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            self.warn(&stranger, &format!("this file is not used{hint}"));
        }
    }

    /// Warns about a file or folder as a whole.
    pub(super) fn warn(&mut self, path: &Path, message: &str) {
        self.findings.push(Problem::warning(&Place::whole(&path.into()), message));
    }
}

/// The name of a file or folder.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_may_hold_ten_thousand_entries_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let put = |number: usize| fs::write(folder.join(number.to_string()), "").unwrap();
        (0..MAX_ENTRIES).for_each(put);
        let variables = Variables::new(&|_| None);
        let (findings, broken, files) = (Findings::default(), Vec::new(), Vec::new());
        let mut reading = Reading { root: Path::new("/srv"), variables: &variables, findings, broken, files };
        assert_eq!(reading.list(folder).len(), MAX_ENTRIES);
        assert!(!reading.findings.has_errors());
        put(MAX_ENTRIES);
        assert!(reading.list(folder).is_empty() && reading.findings.has_errors());
    }
}
