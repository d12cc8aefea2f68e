//! The command line.

mod bench;
mod check_config;
mod configuration;
mod plugins;
mod probe;
mod run;
mod test;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::record::Recorder;

/// How long the end of the program waits for its output to be read.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// An RTMFP introducer: peers meet through their NATs, policy decides who.
#[derive(Parser)]
#[command(name = "introd", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::RunArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Serve: what introd does when it is given no command.
    Run(run::RunArgs),
    /// Read the configuration, say what is wrong with it, and what would run.
    CheckConfig(check_config::CheckConfigArgs),
    /// Load a server and report what it costs it.
    Bench(bench::BenchArgs),
    /// Say what native plugins offer, without starting a server.
    Plugins(plugins::PluginsArgs),
    /// Connect to a server as a client does, and say how it went.
    Probe(probe::ProbeArgs),
    /// Run the tests that stand beside a script, without a network.
    Test(test::TestArgs),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = |result: anyhow::Result<()>| result.map(|()| ExitCode::SUCCESS);
    let result = match cli.command {
        None => done(run::run(&cli.run)),
        Some(Command::Run(args)) => done(run::run(&args)),
        Some(Command::CheckConfig(args)) => done(check_config::check_config(&args)),
        Some(Command::Plugins(args)) => done(plugins::plugins(&args)),
        Some(Command::Bench(args)) => done(bench::run(&args)),
        Some(Command::Test(args)) => done(test::test(&args)),
        Some(Command::Probe(args)) => Ok(probe::run(&args)),
    };
    let code = result.unwrap_or_else(|error: anyhow::Error| {
        introd_log::complain(&format!("introd: {error:#}{}\n", advice(&error)));
        ExitCode::FAILURE
    });
    introd_log::flush(Instant::now() + FLUSH_TIMEOUT);
    code
}

/// What to do about an error of the system that says nothing to most.
fn advice(error: &anyhow::Error) -> &'static str {
    let text = format!("{error:#}");
    if text.contains("ulimit") {
        ""
    } else if text.contains("(os error 24)") || text.contains("(os error 23)") {
        "\nraise the limit of open files: `ulimit -n`, LimitNOFILE= of systemd"
    } else if text.contains("(os error 11)") {
        "\nraise the limit of threads: `ulimit -u`, TasksMax= of systemd, or the container's"
    } else {
        ""
    }
}

/// Prints to standard output. A reader that has gone away is no reason to stop.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Sends the log of a command that serves nobody to standard error; the level is that of `RUST_LOG`, or `level`.
fn start_logging(level: &str) {
    introd_log::start(level, 0);
}

/// Begins a recording, if one is wanted.
fn recorder(path: Option<&Path>, description: &str) -> anyhow::Result<Option<Recorder>> {
    let Some(path) = path else { return Ok(None) };
    let recorder = Recorder::create(path, description)
        .with_context(|| format!("{} cannot be written: choose another file for --record", path.display()))?;
    Ok(Some(recorder))
}

/// Writes a recording out, and says what is in it.
fn finish_recording(recorder: &Recorder) -> anyhow::Result<()> {
    let summary = recorder.finish().context("the recording cannot be written")?;
    introd_log::complain(&format!("recorded {} packets of {} sessions\n", summary.packets, summary.sessions));
    Ok(())
}
