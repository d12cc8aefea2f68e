//! Whether the files of a script have changed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// How many files of a folder are looked at, and how deep.
const MAX_FILES: usize = 1000;
const MAX_DEPTH: usize = 4;

/// The state of a folder's scripts: it differs when any of them has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptFiles {
    files: usize,
    /// A hash of all paths, sizes and times, in any order.
    sum: u64,
}

impl ScriptFiles {
    /// The state of the scripts in a folder.
    pub fn of(folder: &Path) -> Self {
        let mut look = Self { files: 0, sum: 0 };
        look.add(folder, MAX_DEPTH);
        look
    }

    fn add(&mut self, folder: &Path, depth: usize) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if self.files >= MAX_FILES {
                return;
            }
            let path = entry.path();
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() && depth > 0 {
                self.add(&path, depth - 1);
            } else if path.extension().is_some_and(|extension| extension == "lua") {
                let mut hasher = DefaultHasher::new();
                (path, about.len(), about.modified().ok()).hash(&mut hasher);
                self.files += 1;
                self.sum = self.sum.wrapping_add(hasher.finish());
            }
        }
    }
}
