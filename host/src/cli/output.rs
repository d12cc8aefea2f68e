//! What a command prints, and where its log goes.

use std::io::Write as _;

/// Prints to standard output. If nothing reads it any more, the command goes on.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Sends the log of a command that runs no server to standard error; the level is that of `RUST_LOG`, or `level`.
pub(super) fn start_logging(level: &str) {
    introd_log::start(level, 0, introd_log::LogFormat::Text);
}
