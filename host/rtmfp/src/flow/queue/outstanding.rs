//! What becomes of fragments in the network: acknowledged or lost (RFC 7016 §3.6.2.4 to §3.6.2.6), and with the last of its
//! fragments, a message.

use std::cmp::Reverse;

use super::entries::{Fragment, MESSAGE_OVERHEAD, Outcome, Place};
use super::send_queue::SendQueue;
use crate::flow::event::MessageId;

/// What an acknowledged range meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::flow) struct Acknowledged {
    /// Bytes no longer outstanding.
    pub(in crate::flow) bytes: usize,
    /// The highest TSN among them.
    pub(in crate::flow) newest: u64,
    /// The size of the longest chunk among them.
    pub(in crate::flow) longest: usize,
    /// How many fragments, or runs of them, were looked at.
    pub(in crate::flow) steps: u32,
}

impl SendQueue {
    /// Whether that transmission is still outstanding.
    pub(in crate::flow) fn in_flight(&self, number: u64, tsn: u64) -> bool {
        matches!(self.fragment(number), Some(Fragment { place: Place::InFlight { tsn: sent, .. }, .. }) if *sent == tsn)
    }

    /// Acknowledges the sequence numbers `first..=last` (§3.6.2.4), those of them that were ever sent.
    ///
    /// A fragment deemed lost whose acknowledgement comes after all is done with, too: sending it again would be of no use.
    pub(in crate::flow) fn acknowledge(
        &mut self,
        first: u64,
        last: u64,
        mut report: impl FnMut(Outcome),
    ) -> Acknowledged {
        let mut acknowledged = Acknowledged::default();
        let (first, last) = (first.max(self.settled + 1), last.min(self.last_number()));
        // Where the acknowledged fragments just before `number` begin.
        let mut run = None;
        let mut number = first;
        acknowledged.steps = 1;
        while number <= last {
            acknowledged.steps += 1;
            let Some(fragment) = self.index(number).and_then(|index| self.fragments.get_mut(index)) else { break };
            match fragment.place {
                // The same ranges come again and again: pass over what earlier ones have covered.
                Place::Acknowledged { until } => {
                    run = run.or(Some(number));
                    number = until.max(number) + 1;
                    continue;
                }
                Place::Here if !fragment.ever_sent => {
                    self.mark_run(run.take(), number);
                    number += 1;
                    continue;
                }
                Place::Here => (),
                Place::InFlight { tsn, size, .. } => {
                    acknowledged.bytes += size as usize;
                    acknowledged.newest = acknowledged.newest.max(tsn);
                    acknowledged.longest = acknowledged.longest.max(size as usize);
                }
            }
            fragment.place = Place::Acknowledged { until: number };
            let message = fragment.message;
            self.release(message, &mut report);
            run = run.or(Some(number));
            number += 1;
        }
        self.mark_run(run, number);
        self.pop_acknowledged();
        acknowledged
    }

    /// Notes in a run of acknowledged fragments where it ends, before `end`: wherever a later range begins in it, it passes over
    /// the rest at once. Goes where the search for its end has gone.
    fn mark_run(&mut self, first: Option<u64>, end: u64) {
        let Some(mut number) = first else { return };
        while number < end {
            let fragment = self.index(number).and_then(|index| self.fragments.get_mut(index));
            let Some(Fragment { place: Place::Acknowledged { until }, .. }) = fragment else { return };
            number = (*until).max(number) + 1;
            *until = (*until).max(end - 1);
        }
    }

    /// A transmission was lost. Returns how many bytes are no longer outstanding.
    pub(in crate::flow) fn lose(&mut self, number: u64, tsn: u64, mut report: impl FnMut(Outcome)) -> usize {
        let Some(fragment) = self.index(number).and_then(|index| self.fragments.get_mut(index)) else { return 0 };
        match fragment.place {
            Place::InFlight { tsn: sent, size, .. } if sent == tsn => {
                fragment.place = Place::Here;
                let (message, abandoned) = (fragment.message, fragment.abandoned);
                if !abandoned {
                    self.retry(number, message, &mut report);
                }
                size as usize
            }
            _ => 0,
        }
    }

    /// Nothing is in flight any more (§3.6.2.6). Returns the size of the longest chunk that was, if any was.
    pub(in crate::flow) fn lose_all(&mut self, mut report: impl FnMut(Outcome)) -> Option<usize> {
        let mut longest = None;
        for at in 0..self.fragments.len() {
            let Some(fragment) = self.fragments.get_mut(at) else { break };
            if let Place::InFlight { size, .. } = fragment.place {
                longest = longest.max(Some(size as usize));
                fragment.place = Place::Here;
                let (message, abandoned) = (fragment.message, fragment.abandoned);
                if !abandoned {
                    self.retry(self.settled + 1 + at as u64, message, &mut report);
                }
            }
        }
        longest
    }

    fn retry(&mut self, number: u64, message: u64, report: &mut impl FnMut(Outcome)) {
        if self.message(message).is_some_and(|message| message.delivery.send_once) {
            if self.abandon(message) {
                report(Outcome::Dropped(MessageId(message)));
            }
        } else {
            self.lost.push(Reverse(number));
        }
    }

    /// One fragment of a message is done with.
    fn release(&mut self, id: u64, report: &mut impl FnMut(Outcome)) {
        let wholly_cut = id < self.uncut;
        let Some(message) = self.message_mut(id) else { return };
        message.live = message.live.saturating_sub(1);
        if message.live > 0 || !wholly_cut {
            return;
        }
        if message.delivery.notify && !message.abandoned {
            report(Outcome::Delivered(MessageId(id)));
        }
        let freed = std::mem::take(&mut message.data).len();
        self.queued -= freed;
        while self.first_message < self.uncut && self.messages.front().is_some_and(|first| first.live == 0) {
            self.messages.pop_front();
            self.first_message += 1;
            self.queued -= MESSAGE_OVERHEAD;
        }
    }

    pub(super) fn pop_front(&mut self, report: &mut impl FnMut(Outcome)) {
        if let Some(fragment) = self.fragments.pop_front() {
            self.settled += 1;
            self.release(fragment.message, report);
        }
    }

    pub(super) fn pop_acknowledged(&mut self) {
        while self.fragments.front().is_some_and(|first| matches!(first.place, Place::Acknowledged { .. })) {
            self.fragments.pop_front();
            self.settled += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::options::Delivery;

    /// The steps of acknowledging a run of fragments again and again, each time from another one on, while the first is missing.
    fn steps_of(count: u64) -> u64 {
        let mut queue = SendQueue::default();
        for number in 1..=count {
            queue.push(vec![0], Delivery::default());
            assert!(queue.next(usize::MAX, |_| ()).is_some());
            queue.cut(1);
            queue.sent(number, number, 20);
        }
        (2..count).map(|first| u64::from(queue.acknowledge(first, count, |_| ()).steps)).sum()
    }

    #[test]
    fn only_the_last_transmission_of_a_fragment_can_be_lost_and_once() {
        let mut queue = SendQueue::default();
        queue.push(vec![0], Delivery::default());
        assert!(queue.next(usize::MAX, |_| ()).is_some());
        queue.cut(1);
        queue.sent(1, 7, 20);
        let lost = [6, 8, 7, 7].map(|tsn| queue.lose(1, tsn, |_| ()));
        assert_eq!(lost, [0, 0, 20, 0]);
        assert_eq!(queue.lose(2, 7, |_| ()), 0, "there is no such fragment");
    }

    #[test]
    fn no_more_is_cut_than_the_fragments_that_may_be_outstanding() {
        let mut queue = SendQueue::default();
        (0..3).for_each(|_| _ = queue.push(vec![0], Delivery::default()));
        for number in 1..=2 {
            assert!(queue.has_eligible(2) && queue.next(2, |_| ()).is_some());
            queue.cut(1);
            queue.sent(number, number, 20);
        }
        assert!(!queue.has_eligible(2) && queue.next(2, |_| ()).is_none());
        queue.acknowledge(1, 1, |_| ());
        assert!(queue.has_eligible(2) && queue.next(2, |_| ()).is_some());
    }

    #[test]
    fn ranges_that_were_acknowledged_already_are_passed_over() {
        let [once, twice, four_times] = [1, 2, 4].map(|factor| steps_of(factor * 1000));
        assert!(once <= 6 * 1000, "{once}");
        assert!(twice <= 2 * once + once / 4 && four_times <= 4 * once + once / 2, "{once}, {twice}, {four_times}");
    }
}
