//! `introd test`: the tests that stand beside a script.

use std::io::stdout;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use introd_lua::testing;

#[derive(Args)]
pub(super) struct TestArgs {
    /// The application's folder, with its main.lua and its *_test.lua; repeat for more.
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
}

pub(super) fn test(args: &TestArgs) -> anyhow::Result<()> {
    // What scripts trace is part of what a failing test is understood by.
    crate::cli::output::start_logging("warn");
    let mut failed = Vec::new();
    for folder in &args.folders {
        if args.folders.len() > 1 {
            crate::cli::output::say(&format!("{}:\n", folder.display()));
        }
        let passed = testing::run(folder, &mut stdout())
            .with_context(|| format!("the tests in {} cannot be run", folder.display()))?;
        if !passed {
            failed.push(folder.display().to_string());
        }
    }
    anyhow::ensure!(failed.is_empty(), "not all is well in {}", failed.join(", "));
    Ok(())
}
