//! Problems as lines for people. A configuration of Adobe's servers holds dozens of elements that this server does not support: each file
//! that does has one line about all of them.

use std::path::Path;

use super::diagnostic::Diagnostic;
use super::problem::{Problem, Severity};

/// The lines about some problems: one for each if `is_verbose`, else as [`grouped`].
pub(super) fn lines(problems: &[Problem], is_verbose: bool) -> Vec<Diagnostic> {
    if is_verbose { problems.iter().map(Diagnostic::from).collect() } else { grouped(problems) }
}

/// The lines about some problems: first those that are about one thing each, in their order, then for each file a line with all that is
/// not supported in it.
fn grouped(problems: &[Problem]) -> Vec<Diagnostic> {
    let is_alone = |problem: &&Problem| problem.unsupported.is_none();
    let mut lines: Vec<Diagnostic> = problems.iter().filter(is_alone).map(Diagnostic::from).collect();
    let mut groups: Vec<(&Path, Vec<&Problem>)> = Vec::new();
    for problem in problems.iter().filter(|problem| problem.unsupported.is_some()) {
        match groups.iter_mut().find(|(file, _)| **file == *problem.place.file) {
            Some((_, group)) => group.push(problem),
            None => groups.push((&problem.place.file, vec![problem])),
        }
    }
    lines.extend(groups.iter().map(|(file, group)| line(file, group)));
    lines
}

fn line(file: &Path, group: &[&Problem]) -> Diagnostic {
    if let [problem] = group {
        return Diagnostic::from(*problem);
    }
    // An attribute of an element that repeats is named once.
    let mut names: Vec<&str> = Vec::new();
    for name in group.iter().filter_map(|problem| problem.unsupported.as_deref()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let is_error = group.iter().any(|problem| problem.severity == Severity::Error);
    let (severity, word) = if is_error { (Severity::Error, "error") } else { (Severity::Warning, "warning") };
    let (file, count) = (file.display(), names.len());
    let are = if count == 1 { "setting is not supported and has" } else { "settings are not supported and have" };
    Diagnostic::placed(severity, format!("{file}: {word}: {count} {are} no effect: {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Place;

    fn place(file: &str, line: u32) -> Place {
        Place { file: Path::new(file).into(), position: Some((line, 1)) }
    }

    #[test]
    fn each_file_has_one_line_about_what_is_not_supported_behind_all_other_lines() {
        let problems = [
            Problem::unsupported(&place("a.xml", 1), "A"),
            Problem::warning(&place("a.xml", 2), "look here"),
            Problem::unsupported(&place("b.xml", 1), "B/C"),
            Problem::unsupported(&place("a.xml", 3), "D@e"),
            Problem::error(&place("b.xml", 2), "and here"),
            Problem::unsupported(&place("a.xml", 4), "D@e"),
        ];
        let lines = |problems: &[Problem]| grouped(problems).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            lines(&problems),
            [
                "a.xml:2:1: warning: look here",
                "b.xml:2:1: error: and here",
                "a.xml: warning: 2 settings are not supported and have no effect: A, D@e",
                "b.xml:1:1: warning: <B/C> is not supported and has no effect",
            ]
        );
        assert_eq!(
            lines(&[problems[3].clone(), problems[5].clone()]),
            ["a.xml: warning: 1 setting is not supported and has no effect: D@e"]
        );
        assert!(grouped(&[]).is_empty());
        let is_error: Vec<bool> = grouped(&problems).iter().map(Diagnostic::is_error).collect();
        assert_eq!(is_error, [false, true, false, false]);
    }
}
