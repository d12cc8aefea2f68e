//! How many requests each instance has under way, and which wait for their turn.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use introd_policy::InstanceName;
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// The most bytes that the requests of one instance may have together, unless a single one has more.
const MAX_BYTES: usize = 16 << 20;

/// The requests of all instances.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<HashMap<InstanceName, OfInstance>>>);

#[derive(Default)]
struct OfInstance {
    taken: usize,
    waiting: VecDeque<(oneshot::Sender<Place>, usize)>,
    /// What all of these requests have.
    bytes: usize,
}

/// A place among the requests of an instance, as long as it is held. The request that has waited longest gets it then.
pub(super) struct Place {
    owner: InstanceName,
    places: Places,
    bytes: usize,
    /// Whether it was never handed out.
    is_void: bool,
}

/// A place, or the wait for one.
pub(super) enum Turn {
    Now(Place),
    Later(oneshot::Receiver<Place>),
}

impl Turn {
    /// Waits until it is the request's turn.
    pub(super) async fn place(self) -> Option<Place> {
        match self {
            Self::Now(place) => Some(place),
            Self::Later(place) => place.await.ok(),
        }
    }
}

impl Places {
    /// Takes a place for a request of so many bytes, if the instance has fewer than `max`; or queues for one behind fewer than `max_waiting`
    /// others.
    pub(super) fn take(&self, owner: &InstanceName, bytes: usize, max: usize, max_waiting: usize) -> Option<Turn> {
        let mut instances = self.0.lock();
        let own = instances.entry(owner.clone()).or_default();
        if own.taken > 0 && !own.has_bytes(bytes) {
            own.forget_gone();
            if !own.has_bytes(bytes) {
                return None;
            }
        }
        if own.taken < max.max(1) {
            own.taken += 1;
            own.bytes += bytes;
            return Some(Turn::Now(self.place(owner, bytes)));
        }
        if own.waiting.len() >= max_waiting {
            own.forget_gone();
        }
        if own.waiting.len() >= max_waiting {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        own.waiting.push_back((sender, bytes));
        own.bytes += bytes;
        Some(Turn::Later(receiver))
    }

    fn place(&self, owner: &InstanceName, bytes: usize) -> Place {
        Place { owner: owner.clone(), places: self.clone(), bytes, is_void: false }
    }

    /// How many places are taken, and how many requests wait for one, of all instances.
    pub(super) fn counts(&self) -> (usize, usize) {
        let instances = self.0.lock();
        instances.values().fold((0, 0), |(taken, waiting), own| (taken + own.taken, waiting + own.waiting.len()))
    }
}

impl OfInstance {
    fn has_bytes(&self, more: usize) -> bool {
        self.bytes.saturating_add(more) <= MAX_BYTES
    }

    /// Takes out those that do not wait any longer.
    fn forget_gone(&mut self) {
        let bytes = &mut self.bytes;
        self.waiting.retain(|(waiting, of_it)| {
            let is_gone = waiting.is_closed();
            *bytes -= if is_gone { *of_it } else { 0 };
            !is_gone
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_void {
            return;
        }
        let mut instances = self.places.0.lock();
        let Some(own) = instances.get_mut(&self.owner) else { return };
        own.bytes -= self.bytes;
        while let Some((next, bytes)) = own.waiting.pop_front() {
            match next.send(self.places.place(&self.owner, bytes)) {
                Ok(()) => return,
                // Nobody waits there any more. The lock is held: this place must not free itself.
                Err(mut place) => place.is_void = true,
            }
            own.bytes -= bytes;
        }
        own.taken -= 1;
        if own.taken == 0 {
            instances.remove(&self.owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(turn: Option<Turn>) -> Place {
        match turn {
            Some(Turn::Now(place)) => place,
            _ => panic!("there is no place"),
        }
    }

    fn later(turn: Option<Turn>) -> oneshot::Receiver<Place> {
        match turn {
            Some(Turn::Later(place)) => place,
            _ => panic!("it does not wait"),
        }
    }

    #[test]
    fn a_place_that_is_free_goes_to_who_has_waited_longest_and_still_waits() {
        let (places, owner) = (Places::default(), InstanceName::first("a", "v", "app"));
        let take = || places.take(&owner, 1, 2, 3);
        let (first, second) = (now(take()), now(take()));
        let (gone, mut third, fourth) = (later(take()), later(take()), later(take()));
        assert!(take().is_none(), "as many wait as may");
        let other = now(places.take(&InstanceName::first("a", "v", "other"), 1, 2, 3));
        assert_eq!(places.counts(), (3, 3));
        drop(gone);
        drop(first);
        let third = third.try_recv().unwrap();
        assert_eq!(places.counts(), (3, 1));
        drop(fourth);
        drop(second);
        drop(third);
        assert_eq!(places.counts(), (1, 0));
        drop(other);
        assert!(places.0.lock().is_empty());
    }

    #[test]
    fn those_that_have_given_up_do_not_keep_others_from_waiting() {
        let (places, owner) = (Places::default(), InstanceName::first("a", "v", "app"));
        let held = now(places.take(&owner, 1, 1, 2));
        let (first, second) = (later(places.take(&owner, 1, 1, 2)), later(places.take(&owner, 1, 1, 2)));
        assert!(places.take(&owner, 1, 1, 2).is_none());
        drop(first);
        let mut third = later(places.take(&owner, 1, 1, 2));
        drop(held);
        drop(second);
        assert!(third.try_recv().is_ok(), "the second has had it");
        assert_eq!(places.counts(), (0, 0));
    }
    #[test]
    fn the_requests_of_an_instance_have_so_many_bytes_or_there_is_one_of_them() {
        let (places, owner) = (Places::default(), InstanceName::first("a", "v", "app"));
        let take = |bytes| places.take(&owner, bytes, 1, 9);
        let large = now(take(2 * MAX_BYTES));
        assert!(take(0).is_none());
        drop(large);
        let half = now(take(MAX_BYTES / 2));
        let gone = later(take(MAX_BYTES / 2));
        assert!(take(1).is_none());
        drop(gone);
        let mut next = later(take(MAX_BYTES / 2));
        drop(half);
        let next = next.try_recv().unwrap();
        assert!(take(MAX_BYTES / 2 + 1).is_none());
        drop((next, later(take(MAX_BYTES / 2))));
        assert!(places.0.lock().is_empty());
    }
}
