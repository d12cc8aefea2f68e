//! The independent decoder of recordings: a script that shares no code with introd.

use std::path::Path;
use std::process::Command;

/// Checks a recording with the independent decoder. The decoder stands beside the repository; where it or Python is missing, a line
/// says so and nothing is checked.
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
