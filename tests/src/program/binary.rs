//! The `introd` program itself.

use std::path::PathBuf;
use std::process::Command;

use crate::cargo::built;

/// The program: what the environment variable `INTROD_BIN` names, else the one of this build, brought up to date once.
///
/// # Panics
/// If it cannot be built.
pub fn binary() -> PathBuf {
    std::env::var_os("INTROD_BIN").map_or_else(|| built("introd", "introd"), PathBuf::from)
}

/// A command that runs it, with the levels of its log as they are by default.
pub fn introd(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).env_remove("RUST_LOG");
    command
}
