//! What is wrong in a configuration, and where.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A spot in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: Arc<Path>,
    /// Line and column, both from 1, the column in characters. `None` means the file as a whole.
    pub position: Option<(u32, u32)>,
}

impl Place {
    /// The file as a whole.
    pub fn whole(file: &Arc<Path>) -> Self {
        Self { file: Arc::clone(file), position: None }
    }

    /// The line, for messages that point from one spot to another of the same file.
    pub(super) fn line(&self) -> u32 {
        self.position.map_or(0, |(line, _)| line)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        self.position.map_or(Ok(()), |(line, column)| write!(f, ":{line}:{column}"))
    }
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The server does not start with it.
    Error,
    /// The server starts, but does not do what the file seems to ask for.
    Warning,
}

/// One thing that is wrong. Shown as `file:line:column: error: message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub place: Place,
    /// What it is, in one line.
    pub message: String,
}

impl Problem {
    /// Something that must be put right.
    pub fn error(place: &Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, place: place.clone(), message: message.into() }
    }

    /// Something that should be known.
    pub fn warning(place: &Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, place: place.clone(), message: message.into() }
    }

    /// Whether the server starts all the same.
    pub fn is_warning(&self) -> bool {
        self.severity == Severity::Warning
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.is_warning() { "warning" } else { "error" };
        write!(f, "{}: {severity}: {}", self.place, self.message)
    }
}

/// Everything that is wrong in a configuration that the server refuses, warnings included, in the order of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The most problems kept of one load: a file of nothing but mistakes is not worth more lines.
const MAX_PROBLEMS: usize = 200;

/// Where the readers of files put what they find.
#[derive(Debug, Default)]
pub(super) struct Findings {
    problems: Vec<Problem>,
    dropped: bool,
}

impl Findings {
    /// Notes a problem.
    pub(super) fn push(&mut self, problem: Problem) {
        if self.problems.contains(&problem) {
            // Two virtual hosts share the folder of an application.
        } else if !self.is_full() {
            self.problems.push(problem);
        } else if !self.dropped || !problem.is_warning() {
            // The last one kept is never a mere warning when an error was dropped: the outcome must stay the same.
            self.dropped = true;
            if let Some(last) = self.problems.last_mut() {
                let severity = if last.is_warning() { problem.severity } else { Severity::Error };
                *last = Problem { severity, place: problem.place, message: "more problems follow".into() };
            }
        }
    }

    /// Whether there is no room for more.
    pub(super) fn is_full(&self) -> bool {
        self.problems.len() >= MAX_PROBLEMS
    }

    /// Whether one of them keeps the server from starting.
    pub(super) fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| !problem.is_warning())
    }

    /// Adds all of another's.
    pub(super) fn append(&mut self, other: Findings) {
        other.problems.into_iter().for_each(|problem| self.push(problem));
    }

    /// The problems, in the order in which they were found.
    pub(super) fn into_vec(self) -> Vec<Problem> {
        self.problems
    }
}
