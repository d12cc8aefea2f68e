//! When each session is to be looked at again.
//!
//! A session moves its deadline with nearly every packet, mostly to later. So the heap is told only of earlier ones, and an
//! entry that comes up too early is put back with the session's present deadline.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use crate::moment::Moment;
use crate::session_id::SessionId;

/// A session is not looked at again sooner than this. If something is due that has to wait until a packet goes out, it stays due:
/// without a pause, [`Endpoint::handle_timeout`](crate::Endpoint::handle_timeout) would look at it for ever.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// The heap shrinks when it has room for more than this many times as many entries as it has,
const SPARE: usize = 2;
/// and so many besides. A session that opens has several entries for a moment, of which one remains.
const SMALL: usize = 1024;

#[derive(Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<(Moment, SessionId)>>);

impl Timers {
    /// `armed` is the time of the session's earliest entry here, which the session keeps; `deadline` is when it wants to be
    /// looked at.
    pub(crate) fn arm(&mut self, now: Instant, id: SessionId, armed: &mut Option<Moment>, deadline: Option<Instant>) {
        let Some(deadline) = deadline.map(|deadline| Moment::from(deadline.max(now + MIN_WAIT))) else { return };
        if armed.is_none_or(|armed| deadline < armed) {
            *armed = Some(deadline);
            self.0.push(Reverse((deadline, id)));
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// When the next entry comes up.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| at.instant())
    }

    /// Takes an entry that has come up. Whether it is the session's earliest is for the session to tell.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(Moment, SessionId)> {
        if self.next()? > now {
            return None;
        }
        let entry = self.0.pop().map(|Reverse(entry)| entry);
        // After many sessions have ended, the memory of their entries is given back.
        if self.0.capacity() > SPARE * self.0.len() + SMALL {
            // A quarter more, so that it does not grow again at once.
            self.0.shrink_to(self.0.len() + self.0.len() / 4);
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::test_clock;

    #[test]
    fn what_stays_due_comes_up_again_but_not_at_once() {
        let now = test_clock();
        let (mut timers, mut armed, id) = (Timers::default(), None, SessionId(1 << 22));
        timers.arm(now, id, &mut armed, Some(now));
        assert_eq!(timers.pop(now), None);
        let later = now + MIN_WAIT;
        assert_eq!((timers.pop(later), armed), (Some((later.into(), id)), Some(later.into())));
        armed = None;
        timers.arm(later, id, &mut armed, Some(now));
        assert_eq!(timers.pop(later), None);
        assert_eq!(timers.next(), Some(later + MIN_WAIT));
    }

    #[test]
    fn entries_that_have_come_up_leave_no_memory_behind() {
        let now = test_clock();
        let mut timers = Timers::default();
        for number in 0..50_000 {
            let deadline = now + MIN_WAIT * (1 + number % 7);
            timers.arm(now, SessionId(number), &mut None, Some(deadline));
        }
        let later = now + MIN_WAIT * 7;
        assert_eq!(std::iter::from_fn(|| timers.pop(later)).count(), 50_000);
        assert!(timers.0.capacity() <= SMALL, "{}", timers.0.capacity());
    }
}
