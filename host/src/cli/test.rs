//! `introd test`: runs the tests of scripts.

use std::io::stdout;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::output;
use introd_lua::testing::{self, Options};

#[derive(Args)]
pub(super) struct TestArgs {
    /// The folder of an application, with its main.lua and its *_test.lua, a folder of applications, or one file *_test.lua; several may be
    /// given.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Also print what tests print that pass.
    #[arg(long)]
    show_output: bool,
}

pub(super) fn test(args: &TestArgs) -> anyhow::Result<()> {
    // What scripts log is printed with their tests.
    output::start_logging("warn,introd::script=off");
    let options = Options { show_output: args.show_output, ..Options::default() };
    let has_passed = testing::run(&args.paths, options, &mut stdout()).context("the tests cannot be run")?;
    anyhow::ensure!(has_passed, "tests failed, or there are none");
    Ok(())
}
