//! What is wrong with the files, and what would run, for people.

use std::io::{self, Write};
use std::path::Path;

use super::config::{Broken, Config};
use super::problem::Findings;

/// Reads the files of a folder as [`Config::load`] does and writes all problems, then, if the server would start, a summary of
/// what would run. Returns whether there are no errors.
///
/// # Errors
/// If `out` cannot be written to.
pub fn check(dir: Option<&Path>, out: &mut impl Write) -> io::Result<bool> {
    match Config::load(dir) {
        Ok(loaded) => {
            let mut findings = Findings::default();
            let broken = loaded.broken.iter().flat_map(|broken| &broken.problems);
            loaded.warnings.iter().chain(broken).for_each(|problem| findings.push(problem.clone()));
            for problem in findings.into_vec() {
                writeln!(out, "{problem}")?;
            }
            for broken in &loaded.broken {
                let Broken { vhost, application, .. } = broken;
                writeln!(out, "{vhost}/{application}: the application rejects clients and lookups")?;
            }
            write!(out, "{}", loaded.secrets.conceal(&loaded.config.to_string()))?;
            Ok(loaded.broken.is_empty())
        }
        Err(problems) => {
            writeln!(out, "{problems}")?;
            Ok(false)
        }
    }
}
