//! Counting records that repeat, so that no client can fill the log by doing the same thing again and again.
//!
//! The kind of a record is the place in the program that makes it, with the application and the plugin that it names. In each window of
//! ten seconds a limited number of records of one kind is written, and ten times as many of one place. The others are counted, and one
//! record at the end of the window says how many there were. One kind never hides another.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tracing::callsite::Identifier;

use super::format::LogFormat;

/// How many records of one kind are written in ten seconds, unless a limit is given.
pub const DEFAULT_LIMIT: u32 = 100;

/// The time in which records are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// The limit for all kinds of one place is this many times the limit for one kind.
const PLACE_FACTOR: u32 = 10;
/// The maximum number of kinds that are counted separately. Beyond it, records of one place are counted together.
const MAX_KINDS: usize = 4096;

/// Counts records, shared by all threads that log.
#[derive(Clone)]
pub(super) struct Repeats {
    limit: u32,
    format: LogFormat,
    kinds: Arc<Mutex<HashMap<Kind, Count>>>,
}

/// A place in the program, and the hash of the application and plugin; 0 stands for all records of the place.
type Kind = (Identifier, u64);

struct Count {
    began: Instant,
    written: u32,
    /// How many records were not written, and the first of them as the parts of its line before and after that number.
    repeated: u64,
    example: Option<(String, String)>,
}

impl Repeats {
    /// `limit` records of a kind are written in a window; 0 is no limit.
    pub(super) fn new(limit: u32, format: LogFormat) -> Self {
        Self { limit, format, kinds: Arc::default() }
    }

    /// Whether a record is to be written. `names_hash` is the hash of the application and plugin that it names; `example` makes the parts
    /// of its line before and after the count, if they are needed.
    pub(super) fn permits(
        &self,
        now: Instant,
        place: Identifier,
        names_hash: u64,
        example: impl FnOnce() -> (String, String),
    ) -> bool {
        if self.limit == 0 {
            return true;
        }
        let mut kinds = self.kinds();
        // The hash 0 stands for all kinds of the place together.
        let own_hash = if kinds.len() < MAX_KINDS || kinds.contains_key(&(place.clone(), names_hash.max(1))) {
            names_hash.max(1)
        } else {
            1
        };
        let whole = count(&mut kinds, now, (place.clone(), 0)).written < self.limit.saturating_mul(PLACE_FACTOR);
        let own = count(&mut kinds, now, (place.clone(), own_hash));
        if whole && own.written < self.limit {
            own.written += 1;
            count(&mut kinds, now, (place, 0)).written += 1;
            return true;
        }
        own.repeated += 1;
        if own.example.is_none() {
            own.example = Some(example());
        }
        false
    }

    /// Adds a line for each kind that repeated and whose window is over; with `is_last`, for each kind that repeated.
    pub(super) fn report(&self, lines: &mut Vec<String>, is_last: bool) {
        let now = Instant::now();
        self.report_at(if is_last { now + WINDOW } else { now }, lines);
    }

    fn report_at(&self, now: Instant, lines: &mut Vec<String>) {
        self.kinds().retain(|_, count| {
            if now.saturating_duration_since(count.began) < WINDOW {
                return true;
            }
            if let Some((before, after)) = count.example.take() {
                lines.push(match self.format {
                    LogFormat::Text => format!("{before} (repeated {} times){after}\n", grouped(count.repeated)),
                    LogFormat::Json => format!("{before},\"repeated\":{}{after}}}\n", count.repeated),
                });
            }
            false
        });
    }

    fn kinds(&self) -> MutexGuard<'_, HashMap<Kind, Count>> {
        self.kinds.lock()
    }
}

fn count(kinds: &mut HashMap<Kind, Count>, now: Instant, kind: Kind) -> &mut Count {
    // A window that is over is reported and forgotten by the log's thread, within a second.
    kinds.entry(kind).or_insert_with(|| Count { began: now, written: 0, repeated: 0, example: None })
}

/// The number with commas.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::metadata::Metadata;

    struct Place;

    static PLACE: Place = Place;

    impl tracing::Callsite for Place {
        fn set_interest(&self, _: tracing::subscriber::Interest) {}

        fn metadata(&self) -> &Metadata<'_> {
            unreachable!("only its address is used")
        }
    }

    fn place() -> Identifier {
        tracing::callsite::Identifier(&PLACE)
    }

    fn example() -> (String, String) {
        ("it happened".to_owned(), " app=x".to_owned())
    }

    #[test]
    fn what_is_beyond_the_limit_is_counted_and_reported_when_the_window_is_over() {
        let repeats = Repeats::new(2, LogFormat::Text);
        let now = Instant::now();
        let written = (0..5_000).filter(|_| repeats.permits(now, place(), 7, example)).count();
        assert_eq!(written, 2);
        let mut lines = Vec::new();
        repeats.report_at(now + WINDOW / 2, &mut lines);
        assert!(lines.is_empty());
        repeats.report_at(now + WINDOW, &mut lines);
        assert_eq!(lines, ["it happened (repeated 4,998 times) app=x\n"]);
        assert!(repeats.permits(now + WINDOW, place(), 7, example), "a new window");
    }

    #[test]
    fn one_kind_does_not_hide_another_and_all_of_one_place_are_bounded() {
        let repeats = Repeats::new(2, LogFormat::Text);
        let now = Instant::now();
        assert_eq!((0..10).filter(|_| repeats.permits(now, place(), 1, example)).count(), 2);
        assert!(repeats.permits(now, place(), 2, example));
        let written = (10..1000).filter(|kind| repeats.permits(now, place(), *kind, example)).count();
        assert_eq!(written, 2 * PLACE_FACTOR as usize - 3);
        let many = (1000..20_000).filter(|kind| repeats.permits(now, place(), *kind, example)).count();
        assert_eq!(many, 0);
        assert!(repeats.kinds().len() <= MAX_KINDS + 2);
    }

    #[test]
    fn without_a_limit_everything_is_written() {
        let repeats = Repeats::new(0, LogFormat::Text);
        let now = Instant::now();
        assert!((0..1000).all(|_| repeats.permits(now, place(), 7, example)));
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
