//! What the commands print.

use std::io::Write as _;

/// Prints to standard output. A closed pipe is no error.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes the log of a command that is no server to standard error. The level is that of `RUST_LOG`, or `level`.
pub(super) fn start_logging(level: &str) {
    introd_log::start(level, 0);
}
