//! What a program writes, read all the time: a full pipe would stop the program.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::waiting::DEADLINE;

/// What a program has written so far, to its output or to its log.
#[derive(Clone, Default)]
pub struct Text(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// Has the program closed it?
    is_closed: bool,
}

impl Text {
    /// Reads a pipe from now on, in a thread of its own.
    pub(super) fn read(mut pipe: impl Read + Send + 'static) -> Self {
        let text = Self::default();
        let written = text.clone();
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut part) {
                written.change(|state| state.bytes.extend_from_slice(&part[..length]));
            }
            written.change(|state| state.is_closed = true);
        });
        text
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.0.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it so far.
    pub fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.state().bytes).into_owned()
    }

    /// How often it has that so far.
    pub fn count(&self, what: &str) -> usize {
        Search::new(what).of(&self.state().bytes)
    }

    /// Waits until it has that so many times.
    ///
    /// # Panics
    /// If it has not in time, or if the program closes it before.
    pub fn wait_for(&self, what: &str, times: usize) {
        let mut search = Search::new(what);
        let is_there = self.wait(DEADLINE, |state| {
            let is_there = search.of(&state.bytes) >= times;
            (is_there || state.is_closed).then_some(is_there)
        });
        assert!(is_there == Some(true), "not written {times} times: {what:?}\n{}", self.so_far());
    }

    /// The line that begins at `at`, without its end, and where the next one begins; `None` if the text ends there.
    ///
    /// # Panics
    /// If nothing comes in time.
    pub(super) fn line(&self, at: usize) -> Option<(String, usize)> {
        let line = self.wait(DEADLINE, |state| {
            let rest = &state.bytes[at..];
            match rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => Some(Some((at + end + 1, rest[..end].to_vec()))),
                None if state.is_closed && rest.is_empty() => Some(None),
                None if state.is_closed => Some(Some((at + rest.len(), rest.to_vec()))),
                None => None,
            }
        });
        let line = line.unwrap_or_else(|| panic!("the program does not say more than this:\n{}", self.so_far()));
        line.map(|(next, line)| (String::from_utf8_lossy(&line).into_owned(), next))
    }

    /// Waits until the program closes it, at most until the deadline; whether it has.
    pub(super) fn wait_until_closed(&self, deadline: Instant) -> bool {
        self.wait(deadline.saturating_duration_since(Instant::now()), |state| state.is_closed.then_some(())).is_some()
    }

    /// Waits until `look` finds something, at most for so long.
    fn wait<T>(&self, time: Duration, mut look: impl FnMut(&State) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + time;
        let mut state = self.state();
        loop {
            if let Some(found) = look(&state) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Counts a word in a text that grows, and looks at no part of it twice.
struct Search<'a> {
    what: &'a [u8],
    at: usize,
    found: usize,
}

impl<'a> Search<'a> {
    fn new(what: &'a str) -> Self {
        Self { what: what.as_bytes(), at: 0, found: 0 }
    }

    fn of(&mut self, text: &[u8]) -> usize {
        while let Some(place) = text[self.at..].windows(self.what.len()).position(|part| part == self.what) {
            self.found += 1;
            self.at += place + self.what.len();
        }
        // The word may have begun.
        self.at = self.at.max((text.len() + 1).saturating_sub(self.what.len()));
        self.found
    }
}

#[test]
fn a_word_that_is_written_in_parts_is_counted_once() {
    let text = "ab aab abab b ab";
    let mut search = Search::new("ab");
    for end in 0..=text.len() {
        assert_eq!(search.of(&text.as_bytes()[..end]), text[..end].matches("ab").count(), "{end}");
    }
}

#[test]
fn lines_are_given_out_as_they_come_and_at_the_end_what_is_left() {
    let text = Text::read(&b"one\n\ntwo"[..]);
    let mut at = 0;
    let mut lines = Vec::new();
    while let Some((line, next)) = text.line(at) {
        lines.push(line);
        at = next;
    }
    assert_eq!(lines, ["one", "", "two"]);
    text.wait_for("two", 1);
    assert_eq!((text.count("n"), text.count("o")), (1, 2));
}
