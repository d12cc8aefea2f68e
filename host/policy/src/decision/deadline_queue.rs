//! The deadlines of requests that wait: nearly all come in their order, and nearly all requests are answered before.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::RequestId;

/// So many deadlines of requests that wait no more are kept in any case.
const MIN_STALE: usize = 1024;

/// The deadlines, the earliest first. Those of requests that wait no more may still be among them, but not the first.
#[derive(Debug, Default)]
pub(super) struct DeadlineQueue {
    /// In their order, as they came.
    in_order: VecDeque<(Instant, RequestId)>,
    /// Those that came after a later one: requests have different deadlines.
    others: BTreeSet<(Instant, RequestId)>,
}

impl DeadlineQueue {
    pub(super) fn insert(&mut self, at: Instant, id: RequestId) {
        if self.in_order.back().is_none_or(|(last, _)| *last <= at) {
            self.in_order.push_back((at, id));
        } else {
            self.others.insert((at, id));
        }
    }

    /// A request waits no more, and `waits` says of how many others which still do. This takes no longer on average than to insert it did.
    pub(super) fn remove(&mut self, at: Instant, id: RequestId, waiting: usize, waits: impl Fn(RequestId) -> bool) {
        self.others.remove(&(at, id));
        while self.in_order.front().is_some_and(|(_, id)| !waits(*id)) {
            self.in_order.pop_front();
        }
        if self.in_order.len() > 2 * waiting + MIN_STALE {
            self.in_order.retain(|(_, id)| waits(*id));
        }
    }

    /// The earliest deadline, and whose it is.
    pub(super) fn first(&self) -> Option<(Instant, RequestId)> {
        self.in_order.front().into_iter().chain(self.others.first()).min().copied()
    }

    /// Postpones all deadlines.
    pub(super) fn postpone(&mut self, by: Duration) {
        self.in_order.iter_mut().for_each(|(at, _)| *at += by);
        self.others = std::mem::take(&mut self.others).into_iter().map(|(at, id)| (at + by, id)).collect();
    }

    /// How many deadlines are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.in_order.len() + self.others.len()
    }
}
