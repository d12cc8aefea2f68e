//! The recent events of one worker.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::class::EventClass;
use super::event::Event;
use super::ring::Ring;

/// How many events wait while a reader looks at the rings.
pub(super) const MAX_WAITING: usize = 256;

/// The rings of a worker, one for each class.
#[derive(Debug)]
pub(super) struct Rings {
    rings: [Ring; EventClass::ALL.len()],
    /// The sequence number of the newest event.
    pub(super) sequence: u64,
}

impl Rings {
    fn push(&mut self, mut event: Event) {
        self.sequence += 1;
        event.sequence = self.sequence;
        self.rings[event.kind.class() as usize].push(event);
    }

    pub(super) fn ring(&self, class: EventClass) -> &Ring {
        &self.rings[class as usize]
    }

    /// How many events with a sequence number above this one are kept.
    pub(super) fn kept_after(&self, sequence: u64) -> u64 {
        self.rings.iter().map(|ring| ring.range().1 - ring.after(sequence)).sum()
    }
}

/// The recent events of a worker. Only that worker writes; any thread reads.
#[derive(Debug)]
pub(super) struct WorkerEvents {
    rings: Mutex<Rings>,
    /// Events that were written while a reader looked at the rings.
    waiting: Mutex<Vec<Event>>,
    /// How many these are.
    waiting_count: AtomicUsize,
    lost: AtomicU64,
}

impl WorkerEvents {
    pub(super) fn new(max_bytes: usize) -> Self {
        let rings = EventClass::ALL.map(|class| Ring::new(max_bytes / 16 * class.share()));
        Self {
            rings: Mutex::new(Rings { rings, sequence: 0 }),
            waiting: Mutex::default(),
            waiting_count: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
        }
    }

    /// Writes an event. This never waits.
    pub(super) fn write(&self, event: Event) {
        if let Some(mut rings) = self.rings.try_lock() {
            self.take_waiting(&mut rings);
            rings.push(event);
            return;
        }
        match self.waiting.try_lock() {
            Some(mut waiting) if waiting.len() < MAX_WAITING => {
                waiting.push(event);
                self.waiting_count.store(waiting.len(), Ordering::Release);
            }
            _ => drop(self.lost.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Puts the events that waited into the rings, unless another thread is at them.
    fn take_waiting(&self, rings: &mut Rings) {
        if self.waiting_count.load(Ordering::Acquire) == 0 {
            return;
        }
        let Some(mut waiting) = self.waiting.try_lock() else { return };
        let events = std::mem::take(&mut *waiting);
        self.waiting_count.store(0, Ordering::Release);
        drop(waiting);
        events.into_iter().for_each(|event| rings.push(event));
    }

    /// The rings, for a reader: it must hold them for a short time only.
    pub(super) fn read(&self) -> MutexGuard<'_, Rings> {
        let mut rings = self.rings.lock();
        self.take_waiting(&mut rings);
        rings
    }

    /// How many events found no room while a reader looked at the rings.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::stories::EventKind;

    fn event(times: u16) -> Event {
        Event::new(Instant::now(), EventKind::Met { target: None, times, is_relayed: false })
    }

    fn gone() -> Event {
        Event::new(Instant::now(), EventKind::Disconnect { reason: "closed".into(), by: "the client".into() })
    }

    #[test]
    fn a_writer_does_not_wait_for_a_reader_and_what_finds_no_room_is_counted() {
        let events = WorkerEvents::new(16 << 20);
        events.write(event(0));
        let reader = events.read();
        // This thread would wait for itself for ever.
        (0..MAX_WAITING as u16 + 7).for_each(|times| events.write(event(times)));
        assert_eq!((reader.sequence, events.lost()), (1, 7));
        drop(reader);
        events.write(event(1));
        assert_eq!(events.read().sequence, MAX_WAITING as u64 + 2);
        // What waited is read too if the worker writes nothing more.
        let reader = events.read();
        events.write(event(5));
        drop(reader);
        assert_eq!((events.read().sequence, events.lost()), (MAX_WAITING as u64 + 3, 7));
        let rings = events.read();
        let numbers: Vec<u64> =
            (0..).map_while(|number| rings.ring(EventClass::Lookups).get(number)).map(|event| event.sequence).collect();
        assert_eq!(numbers, (1..=MAX_WAITING as u64 + 3).collect::<Vec<_>>(), "without gaps");
    }

    #[test]
    fn many_events_of_one_class_forget_none_of_another() {
        let events = WorkerEvents::new(64 << 10);
        events.write(gone());
        (0..100_000).for_each(|times| events.write(event(times as u16)));
        let rings = events.read();
        assert_eq!(rings.ring(EventClass::Clients).range(), (0, 1));
        let (oldest, next) = rings.ring(EventClass::Lookups).range();
        assert!(next == 100_000 && oldest > 99_000, "{oldest}");
        let all: usize = EventClass::ALL.into_iter().map(|class| rings.ring(class).bytes()).sum();
        assert!(all <= 64 << 10, "{all}");
        assert_eq!((rings.kept_after(0), rings.kept_after(100_000)), (next - oldest + 1, 1));
    }
}
