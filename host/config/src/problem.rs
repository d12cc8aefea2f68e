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
    /// The path of an element or attribute of Adobe's servers that this one does not support, if the problem is that. Files of such servers
    /// hold many, so that people see them in groups.
    pub unsupported: Option<String>,
}

impl Problem {
    /// Something that must be put right.
    pub fn error(place: &Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, place: place.clone(), message: message.into(), unsupported: None }
    }

    /// Something that should be known.
    pub fn warning(place: &Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, place: place.clone(), message: message.into(), unsupported: None }
    }

    /// An element or attribute of Adobe's servers that this one does not support. `path` is as in the tables: `ScriptEngine/XMLSocket`,
    /// `HostPortList/HostPort@name`.
    pub(super) fn unsupported(place: &Place, path: &str) -> Self {
        let message = match path.contains('@') {
            true => format!("{path} has no effect here"),
            false => format!("<{path}> is not supported and has no effect"),
        };
        Self { unsupported: Some(path.to_owned()), ..Self::warning(place, message) }
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
                let message = "more problems follow".into();
                *last = Problem { severity, place: problem.place, message, unsupported: None };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(count: usize, problem: impl Fn(&Place, String) -> Problem) -> Findings {
        let mut findings = Findings::default();
        (0..count).for_each(|number| findings.push(problem(&place(0), number.to_string())));
        findings
    }

    fn place(line: u32) -> Place {
        Place { file: Path::new("x.xml").into(), position: Some((line, 1)) }
    }

    #[test]
    fn the_same_problem_is_kept_once() {
        let mut findings = findings(1, Problem::warning);
        findings.push(Problem::warning(&place(0), "0"));
        findings.push(Problem::error(&place(0), "0"));
        assert_eq!(findings.into_vec().len(), 2);
    }

    #[test]
    fn an_error_beyond_the_bound_is_not_lost_behind_warnings() {
        let mut all = findings(MAX_PROBLEMS, Problem::warning);
        assert!(all.is_full() && !all.has_errors());
        assert!(!findings(MAX_PROBLEMS - 1, Problem::warning).is_full());
        all.push(Problem::warning(&place(1), "one"));
        all.push(Problem::warning(&place(2), "two"));
        assert!(!all.has_errors());
        all.push(Problem::error(&place(3), "three"));
        assert!(all.has_errors());
        // What comes later does not make less of it.
        all.push(Problem::warning(&place(4), "four"));
        let problems = all.into_vec();
        assert_eq!(problems.len(), MAX_PROBLEMS);
        assert_eq!(problems.last(), Some(&Problem::error(&place(3), "more problems follow")));
    }

    #[test]
    fn of_warnings_beyond_the_bound_the_place_of_the_first_is_told() {
        let mut all = findings(MAX_PROBLEMS, Problem::warning);
        all.push(Problem::warning(&place(1), "one"));
        all.push(Problem::warning(&place(2), "two"));
        assert_eq!(all.into_vec().last(), Some(&Problem::warning(&place(1), "more problems follow")));
    }

    #[test]
    fn an_error_that_is_the_last_stays_an_error() {
        let mut all = findings(MAX_PROBLEMS, Problem::error);
        all.push(Problem::warning(&place(1), "one"));
        assert_eq!(all.into_vec().last(), Some(&Problem::error(&place(1), "more problems follow")));
    }
}
