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

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn scripts_have_changed_if_any_of_them_has_and_nothing_else_counts() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let deep = |levels: usize| (0..levels).fold(folder.to_owned(), |folder, _| folder.join("in"));
        std::fs::create_dir_all(deep(MAX_DEPTH + 1)).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let write = |path: &Path, text: &str, time: SystemTime| {
            std::fs::write(path, text).unwrap();
            std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        };
        let (first, second, inner) = (folder.join("a.lua"), folder.join("b.lua"), deep(MAX_DEPTH).join("c.lua"));
        let all = [&first, &second, &inner];
        all.iter().for_each(|path| write(path, "1", time));
        let state = || ScriptFiles::of(folder);
        let before = state();
        assert_eq!(before.files, 3);
        for path in all {
            write(path, "22", time);
            assert_ne!(state(), before, "the length of {}", path.display());
            write(path, "2", time + Duration::from_secs(1));
            assert_ne!(state(), before, "the time of {}", path.display());
            write(path, "1", time);
            assert_eq!(state(), before);
        }
        write(&folder.join("notes.txt"), "1", time);
        write(&deep(MAX_DEPTH + 1).join("d.lua"), "1", time);
        assert_eq!(state(), before, "no script, or too deep");
        std::fs::remove_file(&second).unwrap();
        assert_ne!(state(), before);
        for number in 0..MAX_FILES + 5 {
            std::fs::write(folder.join(format!("{number}.lua")), "").unwrap();
        }
        assert_eq!(state().files, MAX_FILES);
    }
}
