//! `introd completions`: what a shell needs to complete the program's commands and options.

use anyhow::Context as _;
use clap::Args;
use clap_complete::Shell;

use super::output;

#[derive(Args)]
pub(super) struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

/// Prints the completions of `program` for a shell.
///
/// # Errors
/// If the shell's script is not text, which would be a fault of this program.
pub(super) fn completions(args: &CompletionsArgs, mut program: clap::Command) -> anyhow::Result<()> {
    let mut script = Vec::new();
    let name = program.get_name().to_owned();
    clap_complete::generate(args.shell, &mut program, name, &mut script);
    output::say(&String::from_utf8(script).context("the completions are not text")?);
    Ok(())
}
