//! Places of requests whose answers scripts have yet to take.
//!
//! A script takes an answer in its next turn. One that hangs until its thread is given up never does: its places must not be lost to the
//! script that comes after it.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use introd_policy::http::HttpPlace;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::places::Place;

/// How long an answer may be on its way to the script.
const MAX_TIME: Duration = Duration::from_secs(30);

type Slot = Mutex<Option<Arc<Place>>>;

/// The places, those that were lent first in front.
#[derive(Default)]
pub(super) struct Lent(Mutex<VecDeque<(Instant, Weak<Slot>)>>);

impl Lent {
    /// Lends a place for as long as the answer is kept, or until it is taken back.
    pub(super) fn lend(&self, place: Arc<Place>, now: Instant) -> HttpPlace {
        let slot = Arc::new(Mutex::new(Some(place)));
        let mut lent = self.0.lock();
        while lent.front().is_some_and(|(_, slot)| slot.strong_count() == 0) {
            lent.pop_front();
        }
        lent.push_back((now + MAX_TIME, Arc::downgrade(&slot)));
        HttpPlace(Box::new(slot))
    }

    /// Takes back what was lent too long ago.
    pub(super) fn take_back(&self, now: Instant) {
        let mut lent = self.0.lock();
        while let Some((_, slot)) = lent.pop_front_if(|(until, _)| *until <= now) {
            if let Some(slot) = slot.upgrade() {
                drop(slot.lock().take());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use introd_policy::InstanceName;

    use super::*;
    use crate::http_requests::places::{Places, Turn};

    #[test]
    fn a_place_is_free_when_the_answer_is_dropped_or_has_not_been_taken_for_too_long() {
        let (places, lent, now) = (Places::default(), Lent::default(), Instant::now());
        let lend = || match places.take(&InstanceName::first("a", "v", "app"), 1, 9, 0) {
            Some(Turn::Now(place)) => lent.lend(Arc::new(place), now),
            _ => panic!("there is a place"),
        };
        let (dropped, kept) = (lend(), lend());
        drop(dropped);
        assert_eq!(places.counts(), (1, 0));
        lent.take_back(now + MAX_TIME - Duration::from_millis(1));
        assert_eq!(places.counts(), (1, 0));
        lent.take_back(now + MAX_TIME);
        assert_eq!(places.counts(), (0, 0));
        drop(kept);
        assert!(places.counts() == (0, 0) && lent.0.lock().is_empty());
        (0..100).for_each(|_| drop(lend()));
        assert!(lent.0.lock().len() <= 1, "what is dropped is forgotten");
    }
}
