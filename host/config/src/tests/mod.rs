//! Whole configurations: right ones, broken ones, and the shipped one.

mod access;
mod alone;
mod ams5;
mod broken;
mod catch_all;
mod closing;
mod effects;
mod genuine;
mod hostile;
mod hosts;
mod inside;
mod keeping;
mod relay;
mod shipped;
mod summary;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::load::Loader;
use crate::{Loaded, Problems};

/// A folder with `conf` in it, gone after the test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(folder.conf()).unwrap();
        folder
    }

    /// Writes a file; the path counts from `conf`, or from the folder above if it begins with `lua`.
    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = if path.starts_with("lua") { self.0.path().join(path) } else { self.conf().join(path) };
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn with(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.put(path, content);
        self
    }

    fn conf(&self) -> PathBuf {
        self.0.path().join("conf")
    }

    fn load(&self) -> Result<Loaded, Problems> {
        self.load_with(&|_| None)
    }

    fn load_with(&self, environment: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Problems> {
        Loader { dir: &self.conf(), root: Path::new("/srv"), environment }.load()
    }

    /// All problems of a configuration that may be broken, a line each, with paths from the folder above `conf`; `root` says
    /// where applications are looked for.
    fn problems(&self) -> String {
        let dir = self.conf();
        let loaded =
            Loader { dir: &dir, root: self.0.path(), environment: &|name| (name == "HOME").then(|| "/root".into()) }
                .load();
        let problems = match loaded {
            Ok(loaded) => {
                let broken = loaded.broken.into_iter().flat_map(|broken| broken.problems);
                loaded.warnings.into_iter().chain(broken).collect()
            }
            Err(Problems(problems)) => problems,
        };
        let lines: Vec<String> = problems.iter().map(|problem| format!("{problem}\n")).collect();
        lines.concat().replace(&format!("{}/", self.0.path().display()), "")
    }
}
