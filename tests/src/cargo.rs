//! Cargo: what it knows of the workspace, and what it builds for the tests.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// The folder that holds this workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// `target/PROFILE` of this build.
///
/// # Panics
/// If this program is not in such a folder.
pub fn profile_folder() -> PathBuf {
    // A test or a bench is target/PROFILE/deps/NAME-HASH, and a program target/PROFILE/NAME.
    let program = std::env::current_exe().expect("this program has a path");
    let folder = program.parent().expect("it is in a target directory");
    let folder =
        if folder.ends_with("deps") { folder.parent().expect("deps is in the profile's folder") } else { folder };
    folder.to_owned()
}

/// The file of that name that a package of the workspace is built into. Cargo brings it up to date, in this build's profile,
/// when a test program asks for the first time.
///
/// # Panics
/// If it cannot be built.
pub fn built(package: &str, file: &str) -> PathBuf {
    once(package, || build(package, &[], file))
}

/// The library that an example of a package is built into; likewise.
///
/// # Panics
/// If it cannot be built.
pub fn built_example(package: &str, example: &str) -> PathBuf {
    let file = format!("examples/lib{}.so", example.replace('-', "_"));
    once(&format!("{package} {example}"), || build(package, &["--example", example], &file))
}

/// What `build` gives, once for each name in this program.
fn once(name: &str, build: impl FnOnce() -> PathBuf) -> PathBuf {
    static BUILT: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    built.get_or_insert_default().entry(name.to_owned()).or_insert_with(build).clone()
}

fn build(package: &str, which: &[&str], file: &str) -> PathBuf {
    let profile = profile_folder();
    let mut cargo = cargo();
    cargo.args(["build", "--quiet", "--package", package]).args(which);
    cargo.arg("--manifest-path").arg(workspace().join("Cargo.toml"));
    cargo.arg("--target-dir").arg(profile.parent().expect("a profile is in a target directory"));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let is_built = cargo.status().is_ok_and(|status| status.success());
    let path = profile.join(file);
    assert!(is_built && path.exists(), "no {}: try `cargo build -p {package}`", path.display());
    path
}

/// What `cargo metadata` tells of the workspace and of all packages that are built for this platform. Works offline.
///
/// # Panics
/// If Cargo fails.
pub fn metadata() -> Value {
    let about = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let about = String::from_utf8(about.stdout).expect("text");
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let output = cargo()
        .args(["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", host])
        .arg("--manifest-path")
        .arg(workspace().join("Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The Cargo that runs the tests.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What Cargo tells a test about its own package. Build scripts that read it would take it for a change and be run again.
    for (name, _) in std::env::vars_os() {
        let is_of_package = name.to_str().is_some_and(|name| {
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        });
        if is_of_package {
            cargo.env_remove(name);
        }
    }
    cargo
}
