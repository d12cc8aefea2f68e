//! When each session is to be looked at again.
//!
//! A session moves its deadline with nearly every packet, mostly to later. So these timers are told only of earlier ones, and an entry that
//! comes up too early is put back with the session's present deadline.
//!
//! Nearly all entries are pings to idle sessions, most of a minute away. A heap of hundreds of thousands of them would be far larger than the
//! processor's caches, and each entry that comes up would visit twenty places of it. So entries are kept by the second, in no order, and
//! only those of seconds that have begun to come up are in a heap.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
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

type Entry = (Moment, SessionId);

#[derive(Default)]
pub(crate) struct Timers {
    /// Those before `later`.
    soon: BinaryHeap<Reverse<Entry>>,
    /// The others, by their second.
    later: BTreeMap<u32, Second>,
    /// The first second of which entries are put into `later`.
    begins: u32,
}

/// The entries of a second.
struct Second {
    first: Moment,
    entries: Vec<Entry>,
}

impl Timers {
    /// `armed` is the time of the session's earliest entry here, which the session keeps; `deadline` is when it wants to be
    /// looked at.
    pub(crate) fn arm(&mut self, now: Instant, id: SessionId, armed: &mut Option<Moment>, deadline: Option<Instant>) {
        let Some(deadline) = deadline.map(|deadline| Moment::from(deadline.max(now + MIN_WAIT))) else { return };
        if armed.is_none_or(|armed| deadline < armed) {
            *armed = Some(deadline);
            self.push((deadline, id));
        }
    }

    fn push(&mut self, entry: Entry) {
        let (at, _) = entry;
        if at.second() < self.begins {
            self.soon.push(Reverse(entry));
        } else {
            let second = self.later.entry(at.second()).or_insert(Second { first: at, entries: Vec::new() });
            second.first = second.first.min(at);
            second.entries.push(entry);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.soon.len() + self.later.values().map(|second| second.entries.len()).sum::<usize>()
    }

    /// When the next entry comes up.
    pub(crate) fn next(&self) -> Option<Instant> {
        let soon = self.soon.peek().map(|Reverse((at, _))| *at);
        soon.or_else(|| Some(self.later.first_key_value()?.1.first)).map(Moment::instant)
    }

    /// Takes an entry that has come up. Whether it is the session's earliest is for the session to tell.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(Moment, SessionId)> {
        if self.next()? > now {
            return None;
        }
        if self.soon.is_empty()
            && let Some((second, Second { entries, .. })) = self.later.pop_first()
        {
            self.begins = second.saturating_add(1);
            self.soon.extend(entries.into_iter().map(Reverse));
        }
        let entry = self.soon.pop().map(|Reverse(entry)| entry);
        // After many sessions have ended, the memory of their entries is given back.
        if self.soon.capacity() > SPARE * self.soon.len() + SMALL {
            // A quarter more, so that it does not grow again at once.
            self.soon.shrink_to(self.soon.len() + self.soon.len() / 4);
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
        assert!(timers.soon.capacity() <= SMALL && timers.later.is_empty(), "{}", timers.soon.capacity());
    }

    #[test]
    fn entries_come_up_in_their_order_however_far_apart_they_are() {
        let (mut now, mut timers, mut random) = (test_clock(), Timers::default(), 1_u32);
        let mut expected = BTreeMap::new();
        for number in 0..20_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Most within a few seconds, some within a minute.
            let wait = if number % 3 == 0 { random % 60_000 } else { random % 2500 };
            let deadline = now + MIN_WAIT * wait.max(1) + Duration::from_nanos(number.into());
            timers.arm(now, SessionId(number), &mut None, Some(deadline));
            expected.insert((Moment::from(deadline), number), deadline);
            assert_eq!(timers.next(), expected.values().next().copied());
            if number % 4 == 3 {
                now += MIN_WAIT * (random % 13);
                while let Some((at, id)) = timers.pop(now) {
                    let first = expected.pop_first().map(|(first, _)| first);
                    assert!(first == Some((at, id.get())) && at.instant() <= now);
                }
                assert!(expected.values().next().is_none_or(|deadline| *deadline > now));
            }
        }
        assert_eq!((timers.len(), expected.len() > 1000), (expected.len(), true));
        now += Duration::from_secs(61);
        let rest: Vec<_> = std::iter::from_fn(|| timers.pop(now)).map(|(at, id)| (at, id.get())).collect();
        assert!(rest.iter().eq(expected.keys()) && timers.len() == 0 && timers.next().is_none());
    }
}
