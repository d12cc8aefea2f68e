//! Cargo, as the tests run it.

use std::process::Command;

use serde_json::Value;

/// Runs the Cargo that runs the tests.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// What `cargo metadata` tells of the workspace and of all packages that are built for this platform. Works offline.
pub fn metadata() -> Value {
    let about = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let about = String::from_utf8(about.stdout).expect("text");
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let output = cargo()
        .args(["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", host])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")])
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}
