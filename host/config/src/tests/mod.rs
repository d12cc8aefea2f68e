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
use std::sync::atomic::{AtomicU32, Ordering};

use crate::load::Loader;
use crate::{Loaded, Problems};

/// A folder with `conf` in it, gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("introd-config-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(path.join("conf")).unwrap();
        Self(path)
    }

    /// Writes a file; the path counts from `conf`, or from the folder above if it begins with `lua`.
    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = if path.starts_with("lua") { self.0.join(path) } else { self.conf().join(path) };
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn with(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.put(path, content);
        self
    }

    fn conf(&self) -> PathBuf {
        self.0.join("conf")
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
            Loader { dir: &dir, root: &self.0, environment: &|name| (name == "HOME").then(|| "/root".into()) }.load();
        let problems = match loaded {
            Ok(loaded) => {
                let broken = loaded.broken.into_iter().flat_map(|broken| broken.problems);
                loaded.warnings.into_iter().chain(broken).collect()
            }
            Err(Problems(problems)) => problems,
        };
        let lines: Vec<String> = problems.iter().map(|problem| format!("{problem}\n")).collect();
        lines.concat().replace(&format!("{}/", self.0.display()), "")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
