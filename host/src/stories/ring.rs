//! The recent events of one class.

use std::collections::VecDeque;

use super::event::Event;

/// Events in the order in which they were written. When they take more than a number of bytes, the oldest are forgotten.
#[derive(Debug)]
pub(super) struct Ring {
    events: VecDeque<Event>,
    bytes: usize,
    max_bytes: usize,
    /// How many events were forgotten.
    forgotten: u64,
}

impl Ring {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { events: VecDeque::new(), bytes: 0, max_bytes, forgotten: 0 }
    }

    /// Adds an event. One that is larger than the ring is forgotten at once.
    pub(super) fn push(&mut self, event: Event) {
        if self.events.capacity() == 0 {
            // All at once: the memory is used when the events come, and never copied.
            self.events.reserve_exact(self.max_bytes / size_of::<Event>() + 1);
        }
        self.bytes += event.bytes();
        self.events.push_back(event);
        while self.bytes > self.max_bytes {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.bytes();
            self.forgotten += 1;
        }
    }

    /// The number of the oldest event that is kept, and the number that the next one gets. They count the events of the ring from 0 on.
    pub(super) fn range(&self) -> (u64, u64) {
        (self.forgotten, self.forgotten + self.events.len() as u64)
    }

    /// The event with that number, if it is kept.
    pub(super) fn get(&self, number: u64) -> Option<&Event> {
        self.events.get(usize::try_from(number.checked_sub(self.forgotten)?).ok()?)
    }

    /// The number of the first event with a sequence number above this one.
    pub(super) fn after(&self, sequence: u64) -> u64 {
        self.forgotten + self.events.partition_point(|event| event.sequence <= sequence) as u64
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::stories::EventKind;

    fn event(sequence: u64, text: usize) -> Event {
        let (reason, by) = ("r".repeat(text).into(), "the client".into());
        Event { sequence, ..Event::new(Instant::now(), EventKind::Disconnect { reason, by }) }
    }

    #[test]
    fn the_oldest_events_are_forgotten_when_the_bytes_are_used_up() {
        let max = 10 * size_of::<Event>();
        let mut ring = Ring::new(max);
        (1..=10).for_each(|sequence| ring.push(event(sequence, 0)));
        assert_eq!((ring.range(), ring.bytes()), ((0, 10), max));
        ring.push(event(11, 0));
        assert_eq!(ring.range(), (1, 11));
        assert_eq!((ring.get(0).is_none(), ring.get(1).unwrap().sequence, ring.get(11).is_none()), (true, 2, true));
        // Long texts count.
        ring.push(event(12, 3 * size_of::<Event>()));
        assert_eq!((ring.range(), ring.bytes()), ((5, 12), max));
        // What is larger than the ring is not kept.
        ring.push(event(13, 2 * max));
        assert_eq!((ring.range(), ring.bytes()), ((13, 13), 0));
        for sequence in 14..100_000 {
            ring.push(event(sequence, sequence as usize % 100));
            assert!(ring.bytes() <= max);
        }
        assert!(ring.events.capacity() <= 12, "{}", ring.events.capacity());
    }

    #[test]
    fn events_after_a_sequence_number_are_found() {
        let mut ring = Ring::new(5 * size_of::<Event>());
        assert_eq!(ring.after(0), 0);
        // The numbers have gaps: other rings have the events between them.
        [2, 3, 5, 8, 13, 21].into_iter().for_each(|sequence| ring.push(event(sequence, 0)));
        let found = [0, 2, 3, 4, 5, 12, 13, 20, 21, 99].map(|sequence| ring.after(sequence));
        assert_eq!(found, [1, 1, 2, 2, 3, 4, 5, 5, 6, 6]);
    }
}
