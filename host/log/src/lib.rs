//! The program's output: its log on standard error, and its announcements on standard output.
//!
//! No thread that serves clients waits for the reader of either. A record is formatted where it happens, put into a bounded queue, and
//! written by a thread of its own: a full disk, a pipe that no program reads or a terminal that is gone costs lines, which are counted and
//! reported, and nothing else. Every record is one line; text from outside is escaped and cut ([`text`]); records that repeat are counted
//! instead of written.
//!
//! This crate must not know any other crate of introd, so that each of them may log. Begin reading with `record.rs`, which makes a line of
//! a record, and go on with `output.rs`, which writes it.

mod format;
mod level;
mod output;
mod panics;
mod platform;
mod record;
mod repeats;
pub mod testing;
pub mod text;

use std::fmt::Display;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use format::LogFormat;
pub use level::{check_level, level, set_level};
use output::Output;
pub use record::CONFIGURATION;
use record::Records;
pub use repeats::DEFAULT_LIMIT;

/// How often the log's thread looks for repetitions to report.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

static STDOUT: OnceLock<Output> = OnceLock::new();
static STDERR: OnceLock<Output> = OnceLock::new();

/// Sends the log to standard error. The level is that of the environment variable `RUST_LOG`, or else `level`. Of records of one
/// kind, `limit` are written in ten seconds and the others counted; 0 is no limit. A second call in one process changes nothing.
pub fn start(level: &str, limit: u32, format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let (filter, changer) = level::changeable(filter);
    let records = Records::new(std::io::stderr().is_terminal(), limit, format);
    let repeats = records.repeats();
    let output = STDERR.get_or_init(|| {
        Output::start("log", std::io::stderr(), REPORT_INTERVAL, move |lines, is_last| repeats.report(lines, is_last))
    });
    if tracing_subscriber::registry().with(filter).with(records.to(output)).try_init().is_ok() {
        level::keep(changer);
        panics::report_to_log();
    }
}

/// A request of a client or peer that was refused. The names of the fields are those of the administration's API.
#[derive(Clone, Copy)]
pub struct Refused<'a> {
    /// What it asked for: `connect`.
    pub what: &'a str,
    /// Where its packets come from.
    pub address: SocketAddr,
    /// Its peer id, if it is known.
    pub peer: Option<&'a dyn Display>,
    /// The application that it asked for.
    pub application: &'a str,
    /// The instance.
    pub instance: &'a str,
    /// The policy that refused it: `the server`, `script`, or the name of a plugin.
    pub policy: &'a str,
    /// Why.
    pub reason: &'a dyn Display,
}

impl Refused<'_> {
    /// Logs it. Of refusals of one application by one policy a limited number is written in ten seconds, and the others are counted.
    pub fn log(&self) {
        let Self { what, address, peer, application, instance, policy, reason } = self;
        let peer = peer.map(tracing::field::display);
        tracing::info!(
            target: "introd::refused",
            %address, peer, %application, %instance, policy, %reason, "{what} refused"
        );
    }
}

/// Writes to standard output, after what was written before, without waiting for it.
pub fn say(text: &str) {
    let output = STDOUT.get_or_init(|| Output::start("output", std::io::stdout(), REPORT_INTERVAL, |_, _| ()));
    output.push(text.as_bytes());
}

/// Writes to standard error what a command has to report to the user, without waiting for it.
pub fn complain(text: &str) {
    let output = STDERR.get_or_init(|| Output::start("log", std::io::stderr(), REPORT_INTERVAL, |_, _| ()));
    output.push(text.as_bytes());
}

/// How many lines were dropped because what reads them was too slow.
pub fn dropped() -> u64 {
    output::dropped()
}

/// Waits until everything has been written, at most until the deadline.
pub fn flush(deadline: Instant) {
    for output in [&STDOUT, &STDERR].into_iter().filter_map(OnceLock::get) {
        output.flush(deadline);
    }
}
