//! What is wrong in a configuration that the server refuses.

use std::fmt;

use super::diagnostic::Diagnostic;
use super::grouping::lines;
use super::problem::Problem;

/// Everything that is wrong in a configuration that the server refuses, warnings included, in the order of the files. Shown as
/// [`Self::diagnostics`] says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// What is wrong with the files, as [`Loaded::diagnostics`](crate::Loaded::diagnostics) says it.
    pub fn diagnostics(&self, is_verbose: bool) -> Vec<Diagnostic> {
        lines(&self.0, is_verbose)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.diagnostics(false).iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Problems {}
