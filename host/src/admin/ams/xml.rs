//! The XML of AMS's answers.

use std::fmt::{self, Display, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::admin::calendar::civil;

/// The code of an answer to a call that succeeded.
const SUCCESS: &str = "NetConnection.Call.Success";

/// Elements, as they stand in `<data>`.
#[derive(Default)]
pub(super) struct Data(String);

impl Data {
    /// Adds an element with a text.
    pub(super) fn text(&mut self, name: &str, text: impl Display) {
        // Writing into a string cannot fail.
        let _ = write!(self.0, "<{name}>");
        let _ = write!(Escaped(&mut self.0), "{text}");
        let _ = write!(self.0, "</{name}>");
    }

    /// Adds an element with elements in it.
    pub(super) fn element(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        let _ = write!(self.0, "<{name}>");
        inside(self);
        let _ = write!(self.0, "</{name}>");
    }

    /// Adds the elements of `other`.
    pub(super) fn append(&mut self, other: Self) {
        self.0.push_str(&other.0);
    }

    /// Adds the elements of an array: `_0`, `_1` and so on.
    pub(super) fn array<T: Display>(&mut self, items: impl IntoIterator<Item = T>) {
        for (index, item) in items.into_iter().enumerate() {
            self.text(&format!("_{index}"), item);
        }
    }
}

/// Escapes what is written through it. XML has no way to write control characters: they become question marks.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\u{fffe}' | '\u{ffff}' => self.0.push('?'),
                _ if character.is_control() => self.0.push('?'),
                _ => self.0.push(character),
            }
        }
        Ok(())
    }
}

/// Why a call fails: a code, and a description for people.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: &'static str,
    pub(super) description: String,
}

/// The answer to a call: the declaration, the level, the code, the time, and what was asked for.
pub(super) fn answer(now: SystemTime, result: Result<Option<Data>, Failure>) -> String {
    let mut out = Data("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n".to_owned());
    out.element("result", |out| {
        out.text("level", if result.is_ok() { "status" } else { "error" });
        out.text("code", result.as_ref().map_or_else(|failure| failure.code, |_| SUCCESS));
        if let Err(failure) = &result {
            out.text("description", &failure.description);
        }
        out.text("timestamp", Timestamp(now));
        if let Ok(Some(data)) = result {
            out.element("data", |out| out.0.push_str(&data.0));
        }
    });
    out.0.push('\n');
    out.0
}

/// A time in the form of AMS's answers, `Thu Apr 19 18:16:06 2012`, in UTC.
pub(super) struct Timestamp(pub(super) SystemTime);

impl Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let seconds = self.0.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        write!(
            f,
            "{} {} {day:2} {:02}:{:02}:{:02} {year}",
            DAYS[(days % 7) as usize],
            MONTHS[month as usize],
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "Thu Jan  1 00:00:00 1970"),
            (951_782_399, "Mon Feb 28 23:59:59 2000"),
            (951_782_400, "Tue Feb 29 00:00:00 2000"),
            (951_868_800, "Wed Mar  1 00:00:00 2000"),
            (1_334_859_366, "Thu Apr 19 18:16:06 2012"),
            (1_735_689_599, "Tue Dec 31 23:59:59 2024"),
            (4_107_542_400, "Mon Mar  1 00:00:00 2100"),
        ] {
            assert_eq!(Timestamp(at(seconds)).to_string(), expected);
        }
    }

    #[test]
    fn an_answer_has_the_elements_of_ams_in_their_order() {
        let mut data = Data::default();
        data.text("a", "<&\">\u{7}\n\u{ffff}'ü");
        data.element("b", |data| data.array(["x", "y"]));
        assert_eq!(
            answer(at(0), Ok(Some(data))),
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<result><level>status</level><code>NetConnection.Call.Success</code>\
             <timestamp>Thu Jan  1 00:00:00 1970</timestamp><data><a>&lt;&amp;&quot;&gt;???'ü</a><b><_0>x</_0><_1>y</_1></b></data></result>\n"
        );
        assert!(answer(at(0), Ok(None)).ends_with("</timestamp></result>\n"));
        let failure = Failure { code: "NetConnection.Call.Failed", description: "no <method>".to_owned() };
        assert_eq!(
            answer(at(0), Err(failure)),
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<result><level>error</level><code>NetConnection.Call.Failed</code>\
             <description>no &lt;method&gt;</description><timestamp>Thu Jan  1 00:00:00 1970</timestamp></result>\n"
        );
    }
}
