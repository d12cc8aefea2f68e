//! Programs that attack or use a server through an RTMFP client that shares no code with introd.

use std::path::{Path, PathBuf};
use std::process::Command;

use introd_tests::program::binary;

/// Runs `tests/e2e/independent/NAME` and gives back what it printed. The program finds the client `rtmfp.py` in the folder that
/// the environment variable `INTROD_CASES` names, and the program to test in `INTROD`.
///
/// The client lives beside the repository: where it, Python or Python's `cryptography` is missing, that is said and `None` given back.
///
/// # Panics
/// If the program ends with a non-zero status: it checks what it sees.
pub(crate) fn run(name: &str, arguments: &[&str]) -> Option<String> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases = std::env::var_os("INTROD_CASES").map_or_else(|| tests.join("../../shared/cases"), PathBuf::from);
    if !cases.join("rtmfp.py").exists() {
        println!("{} holds no rtmfp.py: {name} was not run", cases.display());
        return None;
    }
    let runs = Command::new("python3").args(["-c", "import cryptography"]).output();
    if !runs.is_ok_and(|output| output.status.success()) {
        println!("python3 with the package cryptography is not there: {name} was not run");
        return None;
    }
    let output = Command::new("python3")
        .arg(tests.join("e2e/independent").join(name))
        .args(arguments)
        .env("INTROD_CASES", &cases)
        .env("INTROD", binary())
        .output()
        .expect("python3 starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{said}");
    assert!(output.status.success(), "{name}: {said}{}", String::from_utf8_lossy(&output.stderr));
    Some(said)
}
