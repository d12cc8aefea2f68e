//! Times as they stand in the files: a plain number, whose unit is the element's.

use std::time::Duration;

/// The unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Seconds; three decimals at most.
    Seconds,
    /// Whole milliseconds.
    Milliseconds,
}

impl Unit {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Milliseconds => "milliseconds",
        }
    }

    /// So many of this unit.
    pub(super) fn of(self, number: u64) -> Duration {
        match self {
            Self::Seconds => Duration::from_secs(number),
            Self::Milliseconds => Duration::from_millis(number),
        }
    }

    /// Reads a number of this unit.
    pub(super) fn parse(self, text: &str) -> Option<Duration> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) {
            return None;
        }
        let number: u64 = whole.parse().ok()?;
        match self {
            Self::Milliseconds => (!text.contains('.')).then_some(Duration::from_millis(number)),
            Self::Seconds => {
                let thousandths: u64 = format!("{fraction:0<3}").parse().ok()?;
                (fraction.len() <= 3)
                    .then(|| Duration::from_millis(thousandths))?
                    .checked_add(Duration::from_secs(number))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_have_a_fraction_and_nothing_else() {
        let ms = Duration::from_millis;
        for (text, expected) in
            [("15", ms(15_000)), ("0", ms(0)), ("0.05", ms(50)), ("1.5", ms(1500)), ("2.125", ms(2125))]
        {
            assert_eq!(Unit::Seconds.parse(text), Some(expected), "{text}");
        }
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "inf",
            "1.2345",
            "1 s",
            "18446744073709551616",
            "1.5.5",
            "\u{0661}",
        ] {
            assert_eq!(Unit::Seconds.parse(text), None, "{text}");
        }
        assert_eq!(
            Unit::Seconds.parse("18446744073709551615.999"),
            Some(Duration::from_millis(999) + Duration::from_secs(u64::MAX))
        );
    }

    #[test]
    fn milliseconds_are_whole() {
        assert_eq!(Unit::Milliseconds.parse("500"), Some(Duration::from_millis(500)));
        assert_eq!(Unit::Milliseconds.parse("0.5"), None);
        assert_eq!(Unit::Milliseconds.parse("1.0"), None);
    }
}
