//! Makes a line of each record.

use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Instant;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::layer::{Context, Layer};

use super::format::{LogFormat, push_json};
use super::output::Output;
use super::repeats::Repeats;
use super::text::{MAX_SHOWN, Shown};

/// The target of records that report the configuration: they are not cut, and never taken for repetitions.
pub const CONFIGURATION: &str = "introd::configuration";

/// The maximum number of bytes of a record's message.
const MAX_MESSAGE: usize = 1024;
/// The maximum number of bytes of the fields that hold a whole table or the calls that led to a script's error.
const MAX_LONG: usize = 8192;
const LONG_FIELDS: [&str; 3] = ["totals", "summary", "traceback"];
/// The fields by which records of one place in the program are told apart.
const NAMING: [&str; 4] = ["app", "application", "plugin", "policy"];

/// Formats records before they go anywhere.
pub(super) struct Records {
    is_terminal: bool,
    format: LogFormat,
    repeats: Repeats,
}

impl Records {
    /// Writes up to `limit` records of one kind in ten seconds; 0 is no limit.
    pub(super) fn new(is_terminal: bool, limit: u32, format: LogFormat) -> Self {
        Self { is_terminal, format, repeats: Repeats::new(limit, format) }
    }

    /// The counts of repetitions.
    pub(super) fn repeats(&self) -> Repeats {
        self.repeats.clone()
    }

    /// Sends the records to an output.
    pub(super) fn to(self, output: &Output) -> ToOutput {
        ToOutput { records: self, output: output.clone() }
    }

    /// The line of a record, or nothing if it is only counted.
    fn line(&self, event: &Event<'_>) -> Option<String> {
        let metadata = event.metadata();
        let is_whole = metadata.target() == CONFIGURATION;
        let mut parts = Parts { is_whole, format: self.format, ..Parts::default() };
        event.record(&mut parts);
        let head = || {
            let mut head = String::new();
            // Writing to a string does not fail.
            let _ = SystemTime.format_time(&mut Writer::new(&mut head));
            let level = metadata.level();
            if self.format == LogFormat::Json {
                let mut json = format!("{{\"time\":\"{head}\",\"level\":\"{level}\",\"target\":");
                push_json(&mut json, metadata.target());
                json.push_str(",\"message\":");
                push_json(&mut json, &parts.message);
                return json;
            }
            if self.is_terminal {
                let colour = match *level {
                    Level::ERROR => 31,
                    Level::WARN => 33,
                    Level::INFO => 32,
                    Level::DEBUG => 34,
                    Level::TRACE => 35,
                };
                let _ = write!(head, " \x1b[{colour}m{level:>5}\x1b[0m {}: {}", metadata.target(), parts.message);
            } else {
                let _ = write!(head, " {level:>5} {}: {}", metadata.target(), parts.message);
            }
            head
        };
        // At a detailed level the user wants every record.
        let is_limited = !is_whole && *metadata.level() <= Level::INFO;
        let names_hash = parts.names_hash.finish();
        if is_limited
            && !self.repeats.permits(Instant::now(), metadata.callsite(), names_hash, || (head(), parts.names.clone()))
        {
            return None;
        }
        let mut line = head();
        line.push_str(&parts.fields);
        line.push_str(if self.format == LogFormat::Json { "}\n" } else { "\n" });
        Some(line)
    }
}

/// Formats records and queues them.
pub(super) struct ToOutput {
    records: Records,
    output: Output,
}

impl<S: Subscriber> Layer<S> for ToOutput {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if let Some(line) = self.records.line(event) {
            self.output.push(line.as_bytes());
        }
    }
}

/// The message and the fields of a record, each escaped and cut.
#[derive(Default)]
struct Parts {
    is_whole: bool,
    format: LogFormat,
    message: String,
    fields: String,
    /// The fields among them that are [`NAMING`], and their hash.
    names: String,
    names_hash: DefaultHasher,
}

impl Parts {
    /// Adds a field. `kind` says what the value is.
    fn field(&mut self, field: &Field, kind: FieldKind, value: fmt::Arguments<'_>) {
        let name = field.name();
        let room = match name {
            _ if self.is_whole || LONG_FIELDS.contains(&name) => MAX_LONG,
            "message" => MAX_MESSAGE,
            _ => MAX_SHOWN,
        };
        // Writing to a string does not fail.
        if name == "message" {
            let _ = Shown::new(&mut self.message, room).write_fmt(value);
            return;
        }
        let start = self.fields.len();
        match (self.format, kind) {
            (LogFormat::Text, _) => {
                let quote = if kind == FieldKind::Text { "\"" } else { "" };
                let _ = write!(self.fields, " {name}={quote}");
                let _ = Shown::new(&mut self.fields, room).write_fmt(value);
                self.fields.push_str(quote);
            }
            (LogFormat::Json, FieldKind::Plain) => {
                let _ = write!(self.fields, ",\"{name}\":{value}");
            }
            (LogFormat::Json, _) => {
                let mut shown = String::new();
                let _ = Shown::new(&mut shown, room).write_fmt(value);
                let _ = write!(self.fields, ",\"{name}\":");
                push_json(&mut self.fields, &shown);
            }
        }
        if NAMING.contains(&name) {
            let text = &self.fields[start..];
            text.hash(&mut self.names_hash);
            self.names.push_str(text);
        }
    }
}

/// What the value of a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FieldKind {
    /// A text of its own.
    Text,
    /// A whole number, true or false.
    Plain,
    /// What some type shows of itself.
    Shown,
}

impl Visit for Parts {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field, FieldKind::Shown, format_args!("{value:?}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, FieldKind::Plain, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, FieldKind::Plain, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, FieldKind::Plain, format_args!("{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, FieldKind::Text, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.field(field, FieldKind::Shown, format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Keeps the lines instead of writing them.
    struct Kept(Records, Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            if let Some(line) = self.0.line(event) {
                self.1.lock().unwrap().push(line);
            }
        }
    }

    fn lines(limit: u32, work: impl FnOnce()) -> Vec<String> {
        // Without the time.
        whole_lines(limit, LogFormat::Text, work)
            .iter()
            .map(|line| line.split_once(' ').unwrap().1.to_owned())
            .collect()
    }

    fn whole_lines(limit: u32, format: LogFormat, work: impl FnOnce()) -> Vec<String> {
        let kept = Arc::default();
        let records = Records::new(false, limit, format);
        let repeats = records.repeats();
        let subscriber = tracing_subscriber::registry().with(Kept(records, Arc::clone(&kept)));
        tracing::subscriber::with_default(subscriber, work);
        let mut lines = kept.lock().unwrap().clone();
        if format == LogFormat::Json {
            repeats.report(&mut lines, true);
        }
        lines
    }

    #[test]
    fn a_record_is_an_object_of_json_whatever_is_in_it() {
        let evil = "a\n\"}, {\"forged\": \\ \x1b";
        let lines = whole_lines(1, LogFormat::Json, || {
            for _ in 0..3 {
                tracing::info!(target: "here", app = %evil, agent = evil, session = 7, less = -1, proven = true, none = Option::<u64>::None, "it said {evil}");
            }
        });
        let [record, summary] = lines.as_slice() else { panic!("{lines:?}") };
        let shown = r#"a\\n\"}, {\"forged\": \\ \\u{1b}"#;
        let (time, rest) = record.split_once(",\"level\"").unwrap();
        assert!(time.starts_with("{\"time\":\"2") && time.ends_with("Z\""), "{time}");
        assert_eq!(
            rest,
            format!(
                ":\"INFO\",\"target\":\"here\",\"message\":\"it said {shown}\",\"app\":\"{shown}\",\"agent\":\"{shown}\",\"session\":7,\"less\":-1,\"proven\":true}}\n"
            )
        );
        assert!(
            summary.ends_with(&format!("\"message\":\"it said {shown}\",\"repeated\":2,\"app\":\"{shown}\"}}\n")),
            "{summary}"
        );
    }

    #[test]
    fn a_record_is_a_line_whatever_is_in_it() {
        let evil = "a\n2026-01-01T00:00:00Z ERROR introd: forged \x1b[31m";
        let lines = lines(0, || {
            tracing::info!(target: "here", app = %evil, agent = evil, session = 7, "it said {evil}");
        });
        let shown = r"a\n2026-01-01T00:00:00Z ERROR introd: forged \u{1b}[31m";
        let expected = format!(" INFO here: it said {shown} app={shown} agent=\"{shown}\" session=7\n");
        assert_eq!(lines, [expected]);
    }

    #[test]
    fn a_stranger_cannot_make_a_line_long() {
        let long = "x".repeat(100_000);
        let lines = lines(0, || tracing::warn!(target: "here", app = %long, agent = long, ?long, "{long}"));
        assert!(lines[0].len() < MAX_MESSAGE + 3 * MAX_SHOWN + 100, "{}", lines[0].len());
    }

    #[test]
    fn what_concerns_the_configuration_is_said_whole() {
        let long = "x".repeat(5000);
        let lines = lines(1, || {
            for _ in 0..3 {
                tracing::error!(target: CONFIGURATION, "{long}");
            }
        });
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.contains(&long)));
    }

    #[test]
    fn repetitions_are_told_apart_by_application() {
        let lines = lines(2, || {
            for number in 0..10 {
                tracing::info!(target: "here", app = %"one", number, "call failed");
                tracing::debug!(target: "here", number, "details");
            }
            tracing::info!(target: "here", app = %"two", "another place");
        });
        assert_eq!(lines.iter().filter(|line| line.contains("app=one")).count(), 2);
        assert_eq!(lines.iter().filter(|line| line.contains("details")).count(), 10);
        assert_eq!(lines.iter().filter(|line| line.contains("app=two")).count(), 1);
    }
}
