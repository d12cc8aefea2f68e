//! `introd check-config`: is the configuration in order, and what would run?

use std::path::PathBuf;

use clap::Args;

#[derive(Args)]
pub(super) struct CheckConfigArgs {
    /// The folder to read [default: conf, if there is one; else the built-in defaults].
    #[arg(long, value_name = "DIR")]
    conf: Option<PathBuf>,
}

pub(super) fn check_config(args: &CheckConfigArgs) -> anyhow::Result<()> {
    let is_in_order = crate::config::check(args.conf.as_deref(), &mut std::io::stdout().lock())?;
    anyhow::ensure!(is_in_order, "the configuration is not in order");
    Ok(())
}
