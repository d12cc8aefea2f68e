//! `introd check-config`: is the configuration in order, and what would run?

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::{configuration, output};
use introd_config::Config;
use introd_native::{Library, Plugins};
use introd_policy::Replies;

#[derive(Args)]
pub(super) struct CheckConfigArgs {
    /// The folder to read [default: conf, if there is one; else the built-in defaults].
    #[arg(long, value_name = "DIR")]
    conf: Option<PathBuf>,
    /// Show what is not supported with a line each, and not with one for each file.
    #[arg(long)]
    verbose: bool,
}

pub(super) fn check_config(args: &CheckConfigArgs) -> anyhow::Result<()> {
    output::say(&format!("{}\n", introd_config::origin(args.conf.as_deref())));
    let mut is_in_order = introd_config::check(args.conf.as_deref(), args.verbose, &mut std::io::stdout().lock())?;
    if let Ok(mut loaded) = Config::load(args.conf.as_deref()) {
        for host in loaded.config.resolve_hosts() {
            let matters = configuration::matters(&host);
            is_in_order &= !matters;
            let host = loaded.secrets.conceal(&host.to_string());
            output::say(&format!("{}: {host}\n", if matters { "error" } else { "warning" }));
        }
        for (application, checked) in configuration::check_scripts(&loaded.config) {
            match checked {
                Ok(notes) => {
                    notes.iter().for_each(|note| output::say(&format!("warning: application {application}: {note}\n")));
                }
                Err(failure) => {
                    is_in_order = false;
                    output::say(&format!(
                        "error: application {application} rejects clients until its script loads: {failure}\n"
                    ));
                }
            }
        }
        let plugins = Plugins::new(Arc::new(Replies::new(1, |_| ())));
        match plugins.prepare_or_close(&mut loaded.config, None) {
            Ok((prepared, closed)) => {
                plugins.keep(prepared);
                is_in_order &= closed.is_empty();
                closed.iter().for_each(|closed| output::say(&format!("error: {closed}\n")));
            }
            Err(error) => {
                is_in_order = false;
                output::say(&format!("error: the server does not start: {error}\n"));
            }
        }
        plugins.stop();
        if let Some(Err(error)) = loaded.config.server.registry.plugin.as_deref().map(Library::load) {
            is_in_order = false;
            output::say(&format!("error: the server does not start: {error}\n"));
        }
    }
    anyhow::ensure!(is_in_order, "the configuration is not in order");
    Ok(())
}
