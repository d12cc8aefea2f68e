//! Matches texts with patterns.

use smallvec::SmallVec;

use super::compile::{Item, Pattern, Repeat};
use super::error::PatternError;
use super::meter::Meter;

/// What a capture holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capture {
    /// A piece of the subject, from and to.
    Text(usize, usize),
    /// A place in the subject, counted from 0.
    Position(usize),
    /// The capture begins there and has not ended.
    Open(usize),
}

/// A match.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) captures: SmallVec<[Capture; 4]>,
}

/// A subject with the pattern that it is searched for.
pub(super) struct Matcher<'a, 'm> {
    pub(super) subject: &'a [u8],
    pub(super) pattern: &'a Pattern,
    pub(super) meter: Meter<'m>,
    captures: SmallVec<[Capture; 4]>,
    depth: usize,
}

/// How many items of a pattern may have alternatives left at a time; each costs stack.
const MAX_DEPTH: usize = 200;

impl<'a, 'm> Matcher<'a, 'm> {
    pub(super) fn new(subject: &'a [u8], pattern: &'a Pattern, meter: Meter<'m>) -> Self {
        Self { subject, pattern, meter, captures: SmallVec::new(), depth: 0 }
    }

    /// The first match that starts at `from` or later; not later if the pattern is anchored.
    pub(super) fn find(&mut self, from: usize) -> Result<Option<Match>, PatternError> {
        for start in from..=self.subject.len() {
            if let Some(found) = self.match_at(start)? {
                return Ok(Some(found));
            }
            if self.pattern.anchored {
                break;
            }
        }
        Ok(None)
    }

    /// The match that starts at `start`.
    pub(super) fn match_at(&mut self, start: usize) -> Result<Option<Match>, PatternError> {
        self.captures.clear();
        self.depth = 0;
        self.meter.step()?;
        let end = self.run(start, 0)?;
        Ok(end.map(|end| Match { start, end, captures: self.captures.clone() }))
    }

    /// Matches the items from `item` on at `at`; the end of the match.
    fn run(&mut self, mut at: usize, mut item: usize) -> Result<Option<usize>, PatternError> {
        while let Some(next) = self.pattern.items.get(item) {
            match next {
                Item::Bytes(set, Repeat::Once) => {
                    self.meter.step()?;
                    if !self.subject.get(at).is_some_and(|byte| set.contains(*byte)) {
                        return Ok(None);
                    }
                    at += 1;
                }
                Item::Bytes(set, Repeat::Optional) => {
                    self.meter.step()?;
                    if self.subject.get(at).is_some_and(|byte| set.contains(*byte))
                        && let Some(end) = self.branch(at + 1, item + 1)?
                    {
                        return Ok(Some(end));
                    }
                }
                Item::Bytes(set, Repeat::Greedy(least)) => {
                    let mut count = 0;
                    while self.subject.get(at + count).is_some_and(|byte| set.contains(*byte)) {
                        self.meter.step()?;
                        count += 1;
                    }
                    for count in (*least..=count).rev() {
                        if let Some(end) = self.branch(at + count, item + 1)? {
                            return Ok(Some(end));
                        }
                    }
                    return Ok(None);
                }
                Item::Bytes(set, Repeat::Lazy) => loop {
                    if let Some(end) = self.branch(at, item + 1)? {
                        return Ok(Some(end));
                    }
                    if !self.subject.get(at).is_some_and(|byte| set.contains(*byte)) {
                        return Ok(None);
                    }
                    at += 1;
                },
                Item::Open | Item::Position => {
                    let is_open = matches!(next, Item::Open);
                    self.captures.push(if is_open { Capture::Open(at) } else { Capture::Position(at) });
                    let end = self.branch(at, item + 1)?;
                    if end.is_none() {
                        self.captures.pop();
                    }
                    return Ok(end);
                }
                Item::Close(capture) => {
                    let capture = *capture;
                    let Some(Capture::Open(start)) = self.captures.get(capture).copied() else { return Ok(None) };
                    self.set(capture, Capture::Text(start, at));
                    let end = self.branch(at, item + 1)?;
                    if end.is_none() {
                        self.set(capture, Capture::Open(start));
                    }
                    return Ok(end);
                }
                Item::Balanced(left, right) => match self.balanced(at, *left, *right)? {
                    Some(end) => at = end,
                    None => return Ok(None),
                },
                Item::Frontier(set) => {
                    self.meter.step()?;
                    // Before the beginning and behind the end there are zeros.
                    let byte = |at: Option<usize>| at.and_then(|at| self.subject.get(at)).copied().unwrap_or(0);
                    if set.contains(byte(at.checked_sub(1))) || !set.contains(byte(Some(at))) {
                        return Ok(None);
                    }
                }
                Item::Back(capture) => {
                    let Some(text) = self.text(*capture) else { return Ok(None) };
                    for _ in text {
                        self.meter.step()?;
                    }
                    if !self.subject.get(at..).is_some_and(|rest| rest.starts_with(text)) {
                        return Ok(None);
                    }
                    at += text.len();
                }
                Item::End if at != self.subject.len() => return Ok(None),
                Item::End => (),
            }
            item += 1;
        }
        Ok(Some(at))
    }

    /// Goes on with one of several possibilities.
    fn branch(&mut self, at: usize, item: usize) -> Result<Option<usize>, PatternError> {
        self.meter.step()?;
        if self.depth == MAX_DEPTH {
            return Err(PatternError::TooComplex);
        }
        self.depth += 1;
        let end = self.run(at, item)?;
        self.depth -= 1;
        Ok(end)
    }

    fn balanced(&mut self, at: usize, left: u8, right: u8) -> Result<Option<usize>, PatternError> {
        if self.subject.get(at) != Some(&left) {
            return Ok(None);
        }
        let mut open = 1_usize;
        for (place, byte) in self.subject.iter().enumerate().skip(at + 1) {
            self.meter.step()?;
            if *byte == right {
                open -= 1;
                if open == 0 {
                    return Ok(Some(place + 1));
                }
            } else if *byte == left {
                open += 1;
            }
        }
        Ok(None)
    }

    fn set(&mut self, capture: usize, value: Capture) {
        if let Some(slot) = self.captures.get_mut(capture) {
            *slot = value;
        }
    }

    fn text(&self, capture: usize) -> Option<&'a [u8]> {
        match self.captures.get(capture)? {
            Capture::Text(from, to) => self.subject.get(*from..*to),
            Capture::Position(_) | Capture::Open(_) => None,
        }
    }
}
