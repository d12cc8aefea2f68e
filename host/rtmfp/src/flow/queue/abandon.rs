//! Messages that are given up (RFC 7016 §3.6.2.7).

use std::time::{Duration, Instant};

use super::entries::Outcome;
use super::send_queue::SendQueue;
use crate::flow::event::MessageId;

impl SendQueue {
    /// Abandons a message with all its fragments (§3.6.2.7); false if it is done with or abandoned already.
    pub(in crate::flow) fn abandon(&mut self, id: u64) -> bool {
        let wholly_cut = id < self.uncut;
        let Some(message) =
            self.message_mut(id).filter(|message| !(message.abandoned || wholly_cut && message.live == 0))
        else {
            return false;
        };
        message.abandoned = true;
        let freed = std::mem::take(&mut message.data).len();
        self.queued -= freed;
        let start = self.fragments.partition_point(|fragment| fragment.message < id);
        for fragment in self.fragments.range_mut(start..).take_while(|fragment| fragment.message == id) {
            fragment.abandoned = true;
        }
        self.cut_abandoned();
        true
    }

    /// Abandons everything: the far end wants none of it (§3.6.2.10).
    pub(in crate::flow) fn abandon_all(&mut self) {
        for id in self.first_message..self.first_message + self.messages.len() as u64 {
            self.abandon(id);
        }
    }

    /// Abandons what is too late, reporting each message.
    pub(in crate::flow) fn expire(&mut self, now: Instant, mut report: impl FnMut(Outcome)) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        self.deadline = None;
        // A list of many is not looked through again at once: each of them may have a deadline of its own.
        let pause = Duration::from_micros(self.messages.len() as u64);
        for at in 0..self.messages.len() {
            let id = self.first_message + at as u64;
            let Some(message) = self.messages.get(at) else { break };
            let done = message.abandoned || id < self.uncut && message.live == 0;
            let started = message.cut > 0 || id < self.uncut;
            let start_by = message.delivery.start_by.filter(|_| !started);
            let earliest = match (start_by, message.delivery.finish_by) {
                (Some(start), Some(finish)) => Some(start.min(finish)),
                (start, finish) => start.or(finish),
            };
            let Some(deadline) = earliest.filter(|_| !done) else { continue };
            if deadline > now {
                let next = deadline.max(now + pause);
                self.deadline = Some(self.deadline.map_or(next, |other| other.min(next)));
            } else if self.abandon(id) {
                report(Outcome::Dropped(MessageId(id)));
            }
        }
    }
}
