//! The command line.

mod bench;
mod check_config;
mod completions;
mod configuration;
mod files;
mod init;
mod man;
mod new;
mod new_program;
mod output;
mod passwd;
mod plugins;
mod probe;
mod recording;
mod remote;
mod run;
mod secret;
mod starting;
mod test;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{CommandFactory as _, Parser, Subcommand};

/// The version; with the commit, if the environment of the build had it in INTROD_VERSION.
const VERSION: &str = match option_env!("INTROD_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};
/// How long the end of the program waits for its output to be read.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// An RTMFP introducer: it connects peers through their NATs, as its policy decides.
#[derive(Parser)]
#[command(name = "introd", version = VERSION, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::RunArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server: the default without a command.
    Run(run::RunArgs),
    /// Read the configuration, and print its problems and what would run.
    CheckConfig(check_config::CheckConfigArgs),
    /// Print what a shell needs to complete the commands and options of this program.
    Completions(completions::CompletionsArgs),
    /// Write a folder with a commented configuration and a first script, to start from.
    Init(init::InitArgs),
    /// Write the manual pages of this program into a folder.
    Man(man::ManArgs),
    /// Write the beginning of an application or of a native plugin into a new folder, with a test.
    New(new::NewArgs),
    /// Put load on a server, and report the CPU time and memory that it takes.
    Bench(bench::BenchArgs),
    /// Ask for an administrator's password, and print what to write into Users.xml.
    Passwd(passwd::PasswdArgs),
    /// Print what native plugins offer, without starting a server; or the C header that they are written with.
    Plugins(plugins::PluginsArgs),
    /// Connect to a server as a client does, and print the result.
    Probe(probe::ProbeArgs),
    /// Run the tests of a script, without a network.
    Test(test::TestArgs),
    #[command(flatten)]
    Remote(remote::RemoteCommand),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = |result: anyhow::Result<()>| result.map(|()| ExitCode::SUCCESS);
    let result = match cli.command {
        None => done(run::run(&cli.run)),
        Some(Command::Run(args)) => done(run::run(&args)),
        Some(Command::CheckConfig(args)) => done(check_config::check_config(&args)),
        Some(Command::Completions(args)) => done(completions::completions(&args, Cli::command())),
        Some(Command::Man(args)) => done(man::man(&args, Cli::command())),
        Some(Command::Init(args)) => done(init::init(&args)),
        Some(Command::New(args)) => done(new::new(&args)),
        Some(Command::Passwd(args)) => done(passwd::passwd(&args)),
        Some(Command::Plugins(args)) => done(plugins::plugins(&args)),
        Some(Command::Bench(args)) => done(bench::run(&args)),
        Some(Command::Test(args)) => done(test::test(&args)),
        Some(Command::Probe(args)) => Ok(probe::run(&args)),
        Some(Command::Remote(command)) => remote::run(&command),
    };
    let code = result.unwrap_or_else(|error: anyhow::Error| {
        introd_log::complain(&format!("introd: {error:#}{}\n", advice(&error)));
        ExitCode::FAILURE
    });
    introd_log::flush(Instant::now() + FLUSH_TIMEOUT);
    code
}

/// What to do about an error of the operating system whose own text does not help.
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
