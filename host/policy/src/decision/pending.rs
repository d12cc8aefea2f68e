//! The requests of one worker that wait for replies.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rtmfp::SessionId;

use super::deadline_queue::DeadlineQueue;
use crate::request::{MAX_REQUESTS, RequestId};

/// The requests of a worker that wait for a plugin, a script or the registry, by id, with their deadlines. What comes first takes
/// the request out: its reply, its deadline, or the end of the session that it belongs to.
#[derive(Debug)]
pub struct PendingRequests<T> {
    worker: u8,
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    deadlines: DeadlineQueue,
    by_session: HashMap<SessionId, RequestId>,
}

#[derive(Debug)]
struct Slot<T> {
    /// This counts from 1, so that no id is 0.
    uses: u32,
    occupant: Option<Occupant<T>>,
}

#[derive(Debug)]
struct Occupant<T> {
    deadline: Instant,
    session: Option<SessionId>,
    request: T,
}

impl<T> PendingRequests<T> {
    /// An empty table for the worker with that number.
    pub fn new(worker: u8) -> Self {
        Self {
            worker,
            slots: Vec::new(),
            free: Vec::new(),
            deadlines: DeadlineQueue::default(),
            by_session: HashMap::new(),
        }
    }

    /// The id of the next request; `None` if too many wait. A policy can be asked under this id before the request is
    /// inserted, since the replies are taken by the same thread.
    pub fn next_id(&mut self) -> Option<RequestId> {
        if self.free.is_empty() {
            let slot = u32::try_from(self.slots.len()).ok().filter(|slot| (*slot as usize) < MAX_REQUESTS)?;
            self.slots.push(Slot { uses: 1, occupant: None });
            self.free.push(slot);
        }
        let slot = *self.free.last()?;
        let uses = self.slots.get(slot as usize)?.uses;
        Some(RequestId::new(self.worker, slot, uses))
    }

    /// Inserts a request under the id that [`Self::next_id`] gave last. `session` is the session whose end cancels the request, if there is
    /// one: each session has at most one such request.
    pub fn insert(&mut self, id: RequestId, deadline: Instant, session: Option<SessionId>, request: T) {
        let Some(slot) = self.slots.get_mut(id.slot()) else { return };
        debug_assert!(slot.uses == id.uses() && slot.occupant.is_none(), "{id} is the next id");
        self.free.pop();
        self.deadlines.insert(deadline, id);
        if let Some(session) = session {
            self.by_session.insert(session, id);
        }
        slot.occupant = Some(Occupant { deadline, session, request });
    }

    /// Takes a request out. `None` if it is not pending any more.
    pub fn take(&mut self, id: RequestId) -> Option<T> {
        let slot = self.slots.get_mut(id.slot()).filter(|slot| slot.uses == id.uses())?;
        if id.worker() != self.worker {
            return None;
        }
        let Occupant { deadline, session, request } = slot.occupant.take()?;
        // By the time when the count of uses begins anew, no reply to the first use can still be on its way.
        slot.uses = slot.uses.checked_add(1).unwrap_or(1);
        self.free.push(id.slot() as u32);
        let (slots, waiting) = (&self.slots, self.slots.len() - self.free.len());
        let waits =
            |id: RequestId| slots.get(id.slot()).is_some_and(|slot| slot.uses == id.uses() && slot.occupant.is_some());
        self.deadlines.remove(deadline, id, waiting, waits);
        if let Some(session) = session {
            self.by_session.remove(&session);
        }
        Some(request)
    }

    /// Takes out the request that belongs to a session.
    pub fn take_of_session(&mut self, session: SessionId) -> Option<(RequestId, T)> {
        let id = *self.by_session.get(&session)?;
        Some((id, self.take(id)?))
    }

    /// Takes out a request whose deadline has passed.
    pub fn take_late(&mut self, now: Instant) -> Option<(RequestId, T)> {
        let (_, id) = self.deadlines.first().filter(|(at, _)| *at <= now)?;
        Some((id, self.take(id)?))
    }

    /// When the first deadline passes.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| at)
    }

    /// Postpones all deadlines by the time in which the worker could take no reply.
    pub fn postpone(&mut self, by: Duration) {
        self.slots.iter_mut().filter_map(|slot| slot.occupant.as_mut()).for_each(|occupant| occupant.deadline += by);
        self.deadlines.postpone(by);
    }

    /// The requests that wait.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|slot| Some(&slot.occupant.as_ref()?.request))
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether no request waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(worker: u8) -> (PendingRequests<char>, Instant) {
        (PendingRequests::new(worker), Instant::now())
    }

    #[test]
    fn each_request_is_taken_once_and_its_slot_is_used_again_under_another_id() {
        let (mut requests, now) = pending(3);
        let first = requests.next_id().unwrap();
        assert_eq!(requests.next_id(), Some(first), "it is not used yet");
        requests.insert(first, now, None, 'a');
        assert_eq!((first.worker(), requests.len(), requests.is_empty()), (3, 1, false));
        assert_eq!((requests.take(first), requests.take(first)), (Some('a'), None));
        let second = requests.next_id().unwrap();
        assert_eq!((second.slot(), first.slot()), (0, 0));
        requests.insert(second, now, None, 'b');
        assert_eq!(requests.take(first), None, "a reply to the first request does not end the second");
        assert_eq!(requests.take(RequestId::new(4, 0, second.uses())), None, "it waits at another worker");
        assert_eq!(requests.take(RequestId::from_number(u64::MAX)), None);
        assert_eq!(requests.take(second), Some('b'));
        assert!(requests.is_empty() && requests.deadlines.len() == 0);
    }

    #[test]
    fn late_requests_come_in_the_order_of_their_deadlines_and_only_once() {
        let (mut requests, now) = pending(0);
        let after = |seconds| now + Duration::from_secs(seconds);
        let mut ids = Vec::new();
        for (at, request) in [(3, 'c'), (1, 'a'), (2, 'b'), (9, 'z')] {
            let id = requests.next_id().unwrap();
            requests.insert(id, after(at), None, request);
            ids.push(id);
        }
        assert_eq!(requests.take(ids[2]), Some('b'));
        assert_eq!(requests.next_deadline(), Some(after(1)));
        let late: Vec<char> = std::iter::from_fn(|| requests.take_late(after(3)).map(|(_, request)| request)).collect();
        assert_eq!(late, ['a', 'c']);
        assert_eq!(requests.take(ids[0]), None, "its reply comes too late");
        requests.postpone(Duration::from_secs(10));
        assert_eq!(requests.take_late(after(18)), None);
        assert_eq!(requests.take_late(after(19)), Some((ids[3], 'z')));
        assert_eq!(requests.next_deadline(), None);
    }

    #[test]
    fn the_end_of_a_session_takes_its_request_out() {
        let (mut requests, now) = pending(0);
        let session = SessionId::from_wire(7);
        let id = requests.next_id().unwrap();
        requests.insert(id, now, Some(session), 'a');
        assert_eq!(requests.take_of_session(SessionId::from_wire(8)), None);
        assert_eq!(requests.take_of_session(session), Some((id, 'a')));
        assert_eq!((requests.take_of_session(session), requests.take(id)), (None, None));
        let id = requests.next_id().unwrap();
        requests.insert(id, now, Some(session), 'b');
        assert_eq!(requests.take(id), Some('b'));
        assert!(requests.take_of_session(session).is_none() && requests.by_session.is_empty());
    }

    #[test]
    fn the_requests_that_wait_are_bounded_and_a_free_place_is_used_again() {
        let (mut requests, now) = pending(0);
        let mut last = None;
        for _ in 0..MAX_REQUESTS {
            let id = requests.next_id().unwrap();
            requests.insert(id, now, None, 'a');
            last = Some(id);
        }
        assert_eq!((requests.next_id(), requests.len()), (None, MAX_REQUESTS));
        assert_eq!(requests.take(last.unwrap()), Some('a'));
        assert_eq!(requests.next_id().map(RequestId::slot), last.map(RequestId::slot));
    }

    #[test]
    fn deadlines_that_come_in_any_order_are_met_in_theirs() {
        let (mut requests, now) = pending(0);
        let mut expected = Vec::new();
        for number in 0..500_u64 {
            let id = requests.next_id().unwrap();
            let at = now + Duration::from_millis(number * 7919 % 503);
            requests.insert(id, at, None, 'a');
            // Each third is answered, some at once and some when others have come.
            if number % 3 == 0 {
                assert_eq!(requests.take(id), Some('a'));
            } else {
                expected.push((at, id));
            }
        }
        for (_, id) in expected.extract_if(100..200, |_| true) {
            assert_eq!(requests.take(id), Some('a'));
        }
        expected.sort_unstable();
        let late = now + Duration::from_secs(1);
        let met: Vec<_> = std::iter::from_fn(|| {
            let at = requests.next_deadline()?;
            let (id, _) = requests.take_late(late)?;
            Some((at, id))
        })
        .collect();
        assert_eq!(met, expected);
        assert_eq!(requests.deadlines.len(), 0);
    }

    #[test]
    fn what_is_kept_of_answered_requests_is_bounded_however_long_another_waits() {
        let (mut requests, now) = pending(0);
        let first = requests.next_id().unwrap();
        requests.insert(first, now, None, 'a');
        for number in 0..100_000 {
            let id = requests.next_id().unwrap();
            requests.insert(id, now + Duration::from_micros(number), None, 'b');
            assert_eq!(requests.take(id), Some('b'));
            assert!(requests.deadlines.len() <= 1100, "{}", requests.deadlines.len());
        }
        assert_eq!(requests.next_deadline(), Some(now));
        assert_eq!(requests.take(first), Some('a'));
        assert_eq!((requests.next_deadline(), requests.deadlines.len()), (None, 0));
    }

    #[test]
    fn a_postponed_request_leaves_no_deadline_behind() {
        let (mut requests, now) = pending(0);
        let id = requests.next_id().unwrap();
        requests.insert(id, now, None, 'a');
        requests.postpone(Duration::from_secs(10));
        assert_eq!(requests.take(id), Some('a'));
        assert_eq!(requests.next_deadline(), None);
    }
}
