//! What there is to say of a configuration, in lines for people. `introd check-config` prints them, and `introd run` logs the same lines.

use std::fmt;

use super::problem::{Problem, Severity};

/// A line about a configuration: about its files, or about a script or a plugin that it names. Shown with its severity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is. An error about a single application does not keep the server from starting.
    pub severity: Severity,
    line: String,
}

impl Diagnostic {
    /// Something that must be put right.
    pub fn error(text: impl fmt::Display) -> Self {
        Self { severity: Severity::Error, line: format!("error: {text}") }
    }

    /// Something that should be known.
    pub fn warning(text: impl fmt::Display) -> Self {
        Self { severity: Severity::Warning, line: format!("warning: {text}") }
    }

    /// A line that says its severity itself, behind the place.
    pub(super) fn placed(severity: Severity, line: String) -> Self {
        Self { severity, line }
    }

    /// Whether it is something that must be put right.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl From<&Problem> for Diagnostic {
    fn from(problem: &Problem) -> Self {
        Self::placed(problem.severity, problem.to_string())
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}
