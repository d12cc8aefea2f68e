//! Which parts of the stage are disturbed, and since when the others are calm: what must hold, must hold some time after the last fault.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How many servers there are.
pub(crate) const SERVERS: usize = 3;

/// A part of the stage that a fault disturbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// One of the servers, by its number.
    Server(usize),
    /// The Redis that they share.
    Redis,
}

/// What the parts depend on: everything.
pub(crate) const EVERYTHING: [Part; SERVERS + 1] = [Part::Server(0), Part::Server(1), Part::Server(2), Part::Redis];

/// The parts with what disturbs them.
pub(crate) struct Calm(Mutex<[State; SERVERS + 1]>);

#[derive(Clone, Copy)]
struct State {
    /// Of all faults.
    all: Faults,
    /// Of those that may end sessions.
    ending: Faults,
}

#[derive(Clone, Copy)]
struct Faults {
    /// How many disturb the part at this moment.
    present: u32,
    /// When the last one ended.
    since: Instant,
}

impl Faults {
    fn end(&mut self, now: Instant) {
        self.present = self.present.saturating_sub(1);
        self.since = self.since.max(now);
    }

    fn calm_since(self) -> Option<Instant> {
        (self.present == 0).then_some(self.since)
    }
}

impl Part {
    fn place(self) -> usize {
        match self {
            Self::Server(number) => number.min(SERVERS - 1),
            Self::Redis => SERVERS,
        }
    }
}

impl Calm {
    /// All parts are calm from now on.
    pub(crate) fn new(now: Instant) -> Self {
        let none = Faults { present: 0, since: now };
        Self(Mutex::new([State { all: none, ending: none }; SERVERS + 1]))
    }

    /// A fault begins, which may end sessions or not. To be called before it is made.
    pub(crate) fn disturb(&self, part: Part, may_end_sessions: bool) {
        let state = &mut self.0.lock().unwrap_or_else(PoisonError::into_inner)[part.place()];
        state.all.present += 1;
        state.ending.present += u32::from(may_end_sessions);
    }

    /// A fault has ended, which could end sessions or not. To be called after it was mended.
    pub(crate) fn settle(&self, part: Part, now: Instant, may_end_sessions: bool) {
        let state = &mut self.0.lock().unwrap_or_else(PoisonError::into_inner)[part.place()];
        state.all.end(now);
        if may_end_sessions {
            state.ending.end(now);
        }
    }

    /// Since when all of these parts have been calm; `None` if one is disturbed.
    pub(crate) fn since(&self, parts: &[Part]) -> Option<Instant> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut states = parts.iter().map(|part| all[part.place()].all.calm_since());
        states.try_fold(None, |latest, since| {
            let since = since?;
            Some(latest.max(Some(since)))
        })?
    }

    /// Whether this part is disturbed, or was within `aftermath` before `now`.
    pub(crate) fn was_disturbed(&self, part: Part, now: Instant, aftermath: std::time::Duration) -> bool {
        self.since(&[part]).is_none_or(|since| since + aftermath > now)
    }

    /// Whether a fault that may end sessions disturbs this part, or did within `aftermath` before `now`.
    pub(crate) fn could_sessions_end(&self, part: Part, now: Instant, aftermath: std::time::Duration) -> bool {
        let ending = self.0.lock().unwrap_or_else(PoisonError::into_inner)[part.place()].ending;
        ending.calm_since().is_none_or(|since| since + aftermath > now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn parts_are_calm_since_the_last_of_their_faults_has_ended() {
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let calm = Calm::new(begin);
        let (a, b) = (Part::Server(0), Part::Server(1));
        assert_eq!(calm.since(&EVERYTHING), Some(begin));
        calm.disturb(a, true);
        calm.disturb(a, true);
        calm.settle(a, begin + second, true);
        assert_eq!((calm.since(&[a]), calm.since(&[b, Part::Redis])), (None, Some(begin)));
        calm.settle(a, begin + 2 * second, true);
        assert_eq!(calm.since(&[a, b]), Some(begin + 2 * second));
        assert!(calm.was_disturbed(a, begin + 3 * second, 2 * second));
        assert!(!calm.was_disturbed(a, begin + 5 * second, 2 * second));
        assert!(!calm.was_disturbed(b, begin + 3 * second, 2 * second));
        calm.disturb(Part::Redis, false);
        assert_eq!(calm.since(&[a, Part::Redis]), None);
        assert_eq!(calm.since(&[]), None, "nothing was asked about");
    }

    #[test]
    fn sessions_may_end_because_of_some_faults_alone() {
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let (calm, a) = (Calm::new(begin), Part::Server(0));
        let could = |at| calm.could_sessions_end(a, begin + at * second, 2 * second);
        calm.disturb(a, false);
        assert!(!could(3) && calm.was_disturbed(a, begin + 3 * second, second));
        calm.disturb(a, true);
        calm.settle(a, begin + 4 * second, false);
        assert!(could(10));
        calm.settle(a, begin + 10 * second, true);
        assert!(could(11) && !could(12));
    }
}
