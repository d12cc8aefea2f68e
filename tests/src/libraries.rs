//! Plugins for tests: built on demand, once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The library of a crate of this workspace, brought up to date once in each test program.
///
/// # Panics
/// If it cannot be built.
pub fn library(package: &str) -> PathBuf {
    static BUILT: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let built = built.get_or_insert_default();
    built.entry(package.to_owned()).or_insert_with(|| build(package)).clone()
}

/// `target/PROFILE` of this build.
///
/// # Panics
/// If this program is not in such a folder.
pub fn profile_folder() -> PathBuf {
    // A test is target/PROFILE/deps/NAME-HASH.
    let test = std::env::current_exe().expect("this program has a path");
    let folder = test.parent().and_then(Path::parent).expect("it is in a target directory");
    folder.to_owned()
}

/// The folder that holds this workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn build(package: &str) -> PathBuf {
    let profile = profile_folder();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", package]);
    cargo.arg("--manifest-path").arg(workspace().join("Cargo.toml"));
    cargo.arg("--target-dir").arg(profile.parent().expect("a profile is in a target directory"));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let is_built = cargo.status().is_ok_and(|status| status.success());
    let library = profile.join(format!("lib{}.so", package.replace('-', "_")));
    assert!(is_built && library.exists(), "no {}: try `cargo build -p {package}`", library.display());
    library
}
