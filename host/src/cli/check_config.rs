//! `introd check-config`: is the configuration in order, and what would run?

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::configuration::{self, Read};
use super::output;
use crate::diagnostics;
use introd_config::{Config, Diagnostic};
use introd_native::Plugins;
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
    let dir = args.conf.as_deref();
    output::say(&format!("{}\n", introd_config::origin(dir)));
    let (mut diagnostics, count_in_full, mut read) = match configuration::read(dir, args.verbose) {
        Ok(read) => (read.diagnostics.clone(), read.loaded.diagnostics(true).len(), Some(read)),
        Err(problems) => (problems.diagnostics(args.verbose), problems.diagnostics(true).len(), None),
    };
    let is_shortened = diagnostics.len() < count_in_full;
    if let Some(Read { loaded, .. }) = &mut read {
        diagnostics.extend(loaded.closed());
        diagnostics.extend(diagnostics::of_scripts(&loaded.config));
        diagnostics.extend(of_plugins(&mut loaded.config));
    }
    for diagnostic in &diagnostics {
        output::say(&format!("{diagnostic}\n"));
    }
    if is_shortened {
        output::say("`introd check-config --verbose` shows each with its line\n");
    }
    if let Some(Read { loaded, .. }) = &read {
        output::say(&loaded.secrets.conceal(&loaded.config.to_string()));
    }
    anyhow::ensure!(!diagnostics.iter().any(Diagnostic::is_error), "the configuration is not in order");
    Ok(())
}

/// What there is to say of the plugins: their instances are made, and ended.
fn of_plugins(config: &mut Config) -> Vec<Diagnostic> {
    let plugins = Plugins::new(Arc::new(Replies::new(1, |_| ())));
    let diagnostics = match diagnostics::of_plugins(config, &plugins) {
        Ok((prepared, diagnostics)) => {
            plugins.keep(prepared);
            diagnostics
        }
        Err(error) => vec![diagnostics::of_refusal(&error)],
    };
    plugins.stop();
    diagnostics
}
