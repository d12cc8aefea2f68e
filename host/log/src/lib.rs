//! What the program says: its log on standard error, its announcements on standard output.
//!
//! Nothing that serves may wait for whoever reads them. A record is formatted where it happens, put into a bounded queue,
//! and written by a thread of its own: a full disk, a pipe that nobody reads or a terminal that is gone costs lines, which are counted
//! and reported, and nothing else. Every record is one line; text that came from outside is escaped and cut ([`text`]); records
//! that repeat are counted instead of written.

mod output;
mod panics;
mod record;
mod repeats;
pub mod text;

use std::fmt::Display;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use output::Output;
use record::Records;
pub use repeats::DEFAULT_LIMIT;

/// The target of records that report the configuration: they are not cut, and never taken for repetitions.
pub const CONFIGURATION: &str = "introd::configuration";

/// How often the log's thread looks for repetitions to report.
const EVERY: Duration = Duration::from_secs(1);

static STDOUT: OnceLock<Output> = OnceLock::new();
static STDERR: OnceLock<Output> = OnceLock::new();

/// Sends the log to standard error. The level is that of the environment variable `RUST_LOG`, or else `level`; of records of one
/// kind, `limit` are written in ten seconds and the others counted, 0 is without limit. A second call in one process changes nothing.
pub fn start(level: &str, limit: u32) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let records = Records::new(std::io::stderr().is_terminal(), limit);
    let repeats = records.repeats();
    let output = STDERR.get_or_init(|| {
        Output::start("log", std::io::stderr(), EVERY, move |lines, is_last| repeats.report(lines, is_last))
    });
    if tracing_subscriber::registry().with(filter).with(records.to(output)).try_init().is_ok() {
        panics::report_to_log();
    }
}

/// Reports that somebody at `address` was refused: `what` it asked for ("connect"), from which application, by which policy, and why.
pub fn refused(what: &str, address: SocketAddr, app: &dyn Display, policy: &str, reason: &dyn Display) {
    tracing::info!(target: "introd::refused", %address, %app, policy, %reason, "{what} refused");
}

/// Writes to standard output, after what was written before, without waiting for it.
pub fn say(text: &str) {
    let output = STDOUT.get_or_init(|| Output::start("output", std::io::stdout(), EVERY, |_, _| ()));
    output.push(text.as_bytes());
}

/// Writes to standard error what a command has to say to the one who gave it, without waiting for it.
pub fn complain(text: &str) {
    let output = STDERR.get_or_init(|| Output::start("log", std::io::stderr(), EVERY, |_, _| ()));
    output.push(text.as_bytes());
}

/// Waits until everything has been written, until the deadline at most.
pub fn flush(deadline: Instant) {
    for output in [&STDOUT, &STDERR].into_iter().filter_map(OnceLock::get) {
        output.flush(deadline);
    }
}
