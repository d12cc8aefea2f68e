//! What the commands print: lines, tables, and values of the JSON API as text.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use serde_json::Value;

/// Prints to the standard output, as text or as JSON.
#[derive(Clone, Copy)]
pub(super) struct Printer {
    is_json: bool,
}

impl Printer {
    pub(super) fn new(is_json: bool) -> Self {
        Self { is_json }
    }

    /// Whether JSON is wanted.
    pub(super) fn is_json(self) -> bool {
        self.is_json
    }

    /// Prints an answer: as a line of JSON, or as the text that `text` makes of it.
    ///
    /// # Errors
    /// If nothing can be written any more, as when `head` has seen enough.
    pub(super) fn answer(self, value: &Value, text: impl FnOnce(&Value) -> String) -> io::Result<()> {
        let text = if self.is_json { format!("{value}\n") } else { text(value) };
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

/// Whether a command has failed only because the reader of its output has gone.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// A value as text, harmless for a terminal: clients choose some of the texts. What is unknown is a dash.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => introd_log::text::shown(text).into_owned(),
        Value::Bool(is_so) => if *is_so { "yes" } else { "no" }.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let named = fields.iter().map(|(name, value)| format!("{}={}", introd_log::text::shown(name), text(value)));
            named.collect::<Vec<_>>().join(" ")
        }
    }
}

/// The elements of a list; none if it is not there.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A number of seconds in the units that people use.
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{whole} s"),
        (0, 0, _) => format!("{minutes} min {} s", whole % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (..) => format!("{days} d {hours} h"),
    }
}

/// A number of bytes in the units that people use.
pub(super) fn bytes(bytes: f64) -> String {
    let (mut value, mut unit) = (bytes, "B");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "B" { format!("{value:.0} B") } else { format!("{value:.1} {unit}") }
}

/// Lines whose columns stand below each other, the first line being the names of the columns.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing into a string cannot fail.
            let _ = write!(line, "{cell:<width$}  ");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_shown_as_people_write_them_and_do_a_terminal_no_harm() {
        for (value, expected) in [
            (json!(null), "-"),
            (json!("a"), "a"),
            (json!("\u{1b}[2J\n"), "\\u{1b}[2J\\n"),
            (json!(true), "yes"),
            (json!(1.5), "1.5"),
            (json!([]), "none"),
            (json!(["a", null]), "a, -"),
            (json!({"b": 1, "a\n": "x"}), "a\\n=x b=1"),
        ] {
            assert_eq!(text(&value), expected);
        }
        assert_eq!(list(&json!([1])), [json!(1)]);
        assert!(list(&json!(null)).is_empty() && list(&json!("a")).is_empty());
    }

    #[test]
    fn durations_and_bytes_have_the_units_that_fit() {
        let durations = [0.0, 59.9, 60.0, 3599.0, 3600.0, 86_399.0, 86_400.0, -5.0].map(duration);
        let expected = ["0 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "23 h 59 min", "1 d 0 h", "0 s"];
        assert_eq!(durations, expected);
        let sizes = [0.0, 1023.0, 1024.0, 1_572_864.0, 5e12, 5e15].map(bytes);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "4.5 TiB", "4547.5 TiB"]);
    }

    #[test]
    fn columns_stand_below_each_other() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let rows = [row(&["A", "LONG", "C"]), row(&["\u{e9}\u{e9}", "x", "y"]), row(&["z"])];
        assert_eq!(table(&rows), "A   LONG  C\n\u{e9}\u{e9}  x     y\nz\n");
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn only_a_reader_that_has_gone_is_no_failure() {
        let of = |kind: io::ErrorKind| is_broken_pipe(&anyhow::Error::from(io::Error::from(kind)));
        assert!(of(io::ErrorKind::BrokenPipe) && !of(io::ErrorKind::StorageFull));
        assert!(!is_broken_pipe(&anyhow::anyhow!("x")));
    }
}
