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
    /// How many faults disturb it at this moment.
    disturbances: u32,
    /// When the last one ended.
    since: Instant,
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
        Self(Mutex::new([State { disturbances: 0, since: now }; SERVERS + 1]))
    }

    /// A fault begins. To be called before it is made.
    pub(crate) fn disturb(&self, part: Part) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[part.place()].disturbances += 1;
    }

    /// A fault has ended. To be called after it was mended.
    pub(crate) fn settle(&self, part: Part, now: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut all[part.place()];
        state.disturbances = state.disturbances.saturating_sub(1);
        state.since = state.since.max(now);
    }

    /// Since when all of these parts have been calm; `None` if one is disturbed.
    pub(crate) fn since(&self, parts: &[Part]) -> Option<Instant> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let states = parts.iter().map(|part| all[part.place()]);
        states.map(|state| (state.disturbances == 0).then_some(state.since)).try_fold(None, |latest, since| {
            let since = since?;
            Some(latest.max(Some(since)))
        })?
    }

    /// Whether this part is disturbed, or was within `aftermath` before `now`.
    pub(crate) fn was_disturbed(&self, part: Part, now: Instant, aftermath: std::time::Duration) -> bool {
        self.since(&[part]).is_none_or(|since| since + aftermath > now)
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
        calm.disturb(a);
        calm.disturb(a);
        calm.settle(a, begin + second);
        assert_eq!((calm.since(&[a]), calm.since(&[b, Part::Redis])), (None, Some(begin)));
        calm.settle(a, begin + 2 * second);
        assert_eq!(calm.since(&[a, b]), Some(begin + 2 * second));
        assert!(calm.was_disturbed(a, begin + 3 * second, 2 * second));
        assert!(!calm.was_disturbed(a, begin + 5 * second, 2 * second));
        assert!(!calm.was_disturbed(b, begin + 3 * second, 2 * second));
        calm.disturb(Part::Redis);
        assert_eq!(calm.since(&[a, Part::Redis]), None);
        assert_eq!(calm.since(&[]), None, "nothing was asked about");
    }
}
