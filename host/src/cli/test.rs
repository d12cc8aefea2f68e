//! `introd test`: runs the tests of a script.

use std::io::stdout;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::output;
use introd_lua::testing;

#[derive(Args)]
pub(super) struct TestArgs {
    /// The application's folder, with its main.lua and its *_test.lua; repeat for more.
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
}

pub(super) fn test(args: &TestArgs) -> anyhow::Result<()> {
    // The output of `trace` helps to understand why a test fails.
    output::start_logging("warn");
    let mut failed = Vec::new();
    for folder in &args.folders {
        if args.folders.len() > 1 {
            output::say(&format!("{}:\n", folder.display()));
        }
        let passed = testing::run(folder, &mut stdout())
            .with_context(|| format!("the tests in {} cannot be run", folder.display()))?;
        if !passed {
            failed.push(folder.display().to_string());
        }
    }
    anyhow::ensure!(failed.is_empty(), "tests failed in {}", failed.join(", "));
    Ok(())
}
