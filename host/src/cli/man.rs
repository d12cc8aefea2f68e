//! `introd man`: the manual pages of the program and of each of its commands.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::output;

#[derive(Args)]
pub(super) struct ManArgs {
    /// The folder to write the pages into. It is made if there is none; pages of an earlier version are replaced.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Writes the manual pages of `program`.
///
/// # Errors
/// If a file cannot be written.
pub(super) fn man(args: &ManArgs, program: clap::Command) -> anyhow::Result<()> {
    let dir = args.dir.display();
    std::fs::create_dir_all(&args.dir).with_context(|| format!("the folder {dir} cannot be made"))?;
    clap_mangen::generate_to(program, &args.dir).with_context(|| format!("the pages cannot be written into {dir}"))?;
    output::say(&format!("introd has written its manual pages into {dir}: man {dir}/introd.1\n"));
    Ok(())
}
