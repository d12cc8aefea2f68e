//! What is wrong with the files, and what would run, for people.

use std::io::{self, Write};
use std::path::Path;

use super::config::{Broken, Config};
use super::grouping::grouped;
use super::problem::{Findings, Problem};

/// Reads the files of a folder as [`Config::load`] does and writes all problems, then, if the server would start, a summary of
/// what would run. Returns whether there are no errors. `is_verbose`: what is not supported has a line each, not one a file.
///
/// # Errors
/// If `out` cannot be written to.
pub fn check(dir: Option<&Path>, is_verbose: bool, out: &mut impl Write) -> io::Result<bool> {
    match Config::load(dir) {
        Ok(loaded) => {
            let mut findings = Findings::default();
            let broken = loaded.broken.iter().flat_map(|broken| &broken.problems);
            loaded.warnings.iter().chain(broken).for_each(|problem| findings.push(problem.clone()));
            write_problems(&findings.into_vec(), is_verbose, out)?;
            for broken in &loaded.broken {
                let Broken { vhost, application, .. } = broken;
                writeln!(out, "{vhost}/{application}: the application rejects clients and lookups")?;
            }
            write!(out, "{}", loaded.secrets.conceal(&loaded.config.to_string()))?;
            Ok(loaded.broken.is_empty())
        }
        Err(problems) => {
            write_problems(&problems.0, is_verbose, out)?;
            Ok(false)
        }
    }
}

fn write_problems(problems: &[Problem], is_verbose: bool, out: &mut impl Write) -> io::Result<()> {
    let lines = if is_verbose { problems.iter().map(ToString::to_string).collect() } else { grouped(problems) };
    let is_shortened = lines.len() < problems.len();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    if is_shortened {
        writeln!(out, "`introd check-config --verbose` shows each with its line")?;
    }
    Ok(())
}
