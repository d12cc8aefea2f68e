//! The independent decoder of recordings: a script that shares no code with introd.

use std::path::Path;
use std::process::Command;

/// Has the independent decoder check a recording. It lives beside the repository; without it, or without Python, that is said
/// and nothing is checked.
///
/// # Panics
/// If the decoder finds a mismatch.
pub fn decode_independently(file: &Path) {
    let decoder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors/decode_vectors.py");
    if !decoder.exists() {
        println!("{} is not there: the recording was not decoded independently", decoder.display());
        return;
    }
    let output = match Command::new("python3").arg(&decoder).arg(file).output() {
        Ok(output) => output,
        Err(error) => {
            println!("python3 does not run ({error}): the recording was not decoded independently");
            return;
        }
    };
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
