//! Numbers and times as values of the files.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::duration::Unit;
use crate::syntax::{Described, Syntax, Wrong, one_of};

/// A whole number.
pub(crate) struct Whole {
    least: usize,
    most: usize,
    default: usize,
}

pub(crate) const fn whole(bounds: RangeInclusive<usize>, default: usize) -> Whole {
    let (least, most) = (*bounds.start(), *bounds.end());
    assert!(least <= default && default <= most, "the default is within the bounds");
    Whole { least, most, default }
}

impl Described for Whole {
    fn describe(&self) -> String {
        format!("a whole number from {} to {}", self.least, self.most)
    }

    fn default_text(&self) -> String {
        self.default.to_string()
    }
}

impl Syntax for Whole {
    type Value = usize;

    fn parse(&self, text: &str) -> Result<usize, Wrong> {
        let number = digits(text).and_then(|number| usize::try_from(number).ok());
        number.filter(|number| (self.least..=self.most).contains(number)).ok_or(Wrong::Syntax)
    }

    fn default(&self) -> usize {
        self.default
    }
}

/// A whole number, or -1 for no limit.
pub(crate) struct Limit {
    most: u64,
    default: Option<u64>,
}

pub(crate) const fn limit(most: u64, default: Option<u64>) -> Limit {
    if let Some(default) = default {
        assert!(default <= most, "the default is within the bounds");
    }
    Limit { most, default }
}

impl Described for Limit {
    fn describe(&self) -> String {
        format!("a whole number from 0 to {}, or -1 for no limit", self.most)
    }

    fn default_text(&self) -> String {
        self.default.map_or_else(|| "-1".into(), |limit| limit.to_string())
    }
}

impl Syntax for Limit {
    type Value = Option<u64>;

    fn parse(&self, text: &str) -> Result<Option<u64>, Wrong> {
        if text == "-1" {
            return Ok(None);
        }
        digits(text).filter(|number| *number <= self.most).map(Some).ok_or(Wrong::Syntax)
    }

    fn default(&self) -> Option<u64> {
        self.default
    }
}

/// A time, as a number of units.
pub(crate) struct Time {
    unit: Unit,
    least: u64,
    most: u64,
    default: u64,
}

pub(crate) const fn seconds(bounds: RangeInclusive<u64>, default: u64) -> Time {
    time(Unit::Seconds, bounds, default)
}

pub(crate) const fn milliseconds(bounds: RangeInclusive<u64>, default: u64) -> Time {
    time(Unit::Milliseconds, bounds, default)
}

const fn time(unit: Unit, bounds: RangeInclusive<u64>, default: u64) -> Time {
    let (least, most) = (*bounds.start(), *bounds.end());
    assert!(least <= default && default <= most, "the default is within the bounds");
    Time { unit, least, most, default }
}

impl Time {
    /// In words, if numbers below 0 are allowed.
    fn describe_up_to(&self) -> String {
        format!("a number of {} up to {}", self.unit.name(), self.most)
    }
}

impl Described for Time {
    fn describe(&self) -> String {
        format!("a number of {} from {} to {}", self.unit.name(), self.least, self.most)
    }

    fn default_text(&self) -> String {
        self.default.to_string()
    }
}

impl Syntax for Time {
    type Value = Duration;

    fn parse(&self, text: &str) -> Result<Duration, Wrong> {
        let bounds = self.unit.of(self.least)..=self.unit.of(self.most);
        self.unit.parse(text).filter(|time| bounds.contains(time)).ok_or(Wrong::Syntax)
    }

    fn default(&self) -> Duration {
        self.unit.of(self.default)
    }
}

/// A [`Time`] of which 0 and less mean that there is none.
pub(crate) struct TimeOrNone(Time);

/// From 0 seconds, which is the default and means that there is no such time, to `most`.
pub(crate) const fn seconds_or_none(most: u64, default: u64) -> TimeOrNone {
    TimeOrNone(seconds(0..=most, default))
}

impl Described for TimeOrNone {
    fn describe(&self) -> String {
        self.0.describe_up_to()
    }

    fn default_text(&self) -> String {
        self.0.default_text()
    }
}

impl Syntax for TimeOrNone {
    type Value = Option<Duration>;

    fn parse(&self, text: &str) -> Result<Option<Duration>, Wrong> {
        if is_negative(text) {
            return Ok(None);
        }
        Ok(Some(self.0.parse(text)?).filter(|time| !time.is_zero()))
    }

    fn default(&self) -> Option<Duration> {
        Some(self.0.default()).filter(|time| !time.is_zero())
    }
}

/// From 0 milliseconds, which means that there is no such time, to `most`.
pub(crate) const fn milliseconds_or_none(most: u64, default: u64) -> TimeOrNone {
    TimeOrNone(milliseconds(0..=most, default))
}

/// A [`Time`] of which 0 and less stand for the default.
pub(crate) struct TimeOrDefault(Time);

/// Up to `most` seconds.
pub(crate) const fn seconds_or_default(most: u64, default: u64) -> TimeOrDefault {
    TimeOrDefault(seconds(0..=most, default))
}

impl Described for TimeOrDefault {
    fn describe(&self) -> String {
        self.0.describe_up_to()
    }

    fn default_text(&self) -> String {
        self.0.default_text()
    }
}

impl Syntax for TimeOrDefault {
    type Value = Duration;

    fn parse(&self, text: &str) -> Result<Duration, Wrong> {
        let time = if is_negative(text) { Duration::ZERO } else { self.0.parse(text)? };
        Ok(if time.is_zero() { self.0.default() } else { time })
    }

    fn default(&self) -> Duration {
        self.0.default()
    }
}

/// Whether it is a whole number below 0, as Adobe's administrators write `no value of my own`.
fn is_negative(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Numbers out of a set, separated by commas; each once, in the order given.
pub(crate) struct Numbers {
    allowed: &'static [u64],
    default: &'static [u64],
}

pub(crate) const fn numbers(allowed: &'static [u64], default: &'static [u64]) -> Numbers {
    let mut rest = default;
    while let [first, others @ ..] = rest {
        assert!(is_among(*first, allowed), "the default is allowed");
        rest = others;
    }
    Numbers { allowed, default }
}

/// `contains` is not for constants.
const fn is_among(number: u64, mut numbers: &[u64]) -> bool {
    while let [first, others @ ..] = numbers {
        if *first == number {
            return true;
        }
        numbers = others;
    }
    false
}

impl Described for Numbers {
    fn describe(&self) -> String {
        format!("{}, separated by commas", one_of(self.allowed.iter().map(u64::to_string)))
    }

    fn default_text(&self) -> String {
        self.default.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
    }
}

impl Syntax for Numbers {
    type Value = Vec<u64>;

    fn parse(&self, text: &str) -> Result<Vec<u64>, Wrong> {
        let mut numbers = Vec::new();
        for number in text.split(',') {
            let number = digits(number.trim()).filter(|number| self.allowed.contains(number)).ok_or(Wrong::Syntax)?;
            if numbers.contains(&number) {
                return Err(Wrong::Syntax);
            }
            numbers.push(number);
        }
        Ok(numbers)
    }

    fn default(&self) -> Vec<u64> {
        self.default.to_vec()
    }
}

/// Only digits: no sign, no space.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_default_that_is_not_allowed_ends_the_compilation() {
        // Called here while the program runs, these panic; the keys call them while it is compiled.
        assert!(catch_unwind(|| whole(1..=64, 0)).is_err());
        assert!(catch_unwind(|| limit(64, Some(65))).is_err());
        assert!(catch_unwind(|| seconds(5..=300, 301)).is_err());
        assert!(catch_unwind(|| numbers(&[2, 5], &[2, 14])).is_err());
    }
}
