//! The command line.

mod bench;
mod check_config;
mod plugins;
mod probe;
mod run;
mod test;

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::record::Recorder;

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
    let result = match cli.command {
        None => run::run(&cli.run),
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::CheckConfig(args)) => check_config::check_config(&args),
        Some(Command::Plugins(args)) => plugins::plugins(&args),
        Some(Command::Bench(args)) => bench::run(&args),
        Some(Command::Test(args)) => test::test(&args),
        Some(Command::Probe(args)) => return probe::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("introd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints to standard output. Whoever reads it may have gone away; that is no reason to stop.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Sends log lines to standard error; the level is that of `RUST_LOG`, or `default`.
fn start_logging(default: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    // A second call in one process (tests) keeps what the first set up.
    let ansi = std::io::stderr().is_terminal();
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(std::io::stderr).try_init();
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
    eprintln!("recorded {} packets of {} sessions", summary.packets, summary.sessions);
    Ok(())
}
