//! The recent events of all workers, and how they are read.

use std::time::{Instant, SystemTime};

use rtmfp::PeerId;

use super::class::EventClass;
use super::event::Event;
use super::filter::EventFilter;
use super::worker_events::WorkerEvents;

/// How much memory the events of all workers take at most.
pub const MAX_BYTES: usize = 8 << 20;
/// What each worker has at least, however many there are.
const MIN_BYTES_OF_WORKER: usize = 128 << 10;
/// How many events a reader looks at before it lets the worker write.
const PIECE: u64 = 256;

/// The recent events of all workers.
#[derive(Debug)]
pub struct Stories {
    workers: Box<[WorkerEvents]>,
    /// The same moment by both clocks.
    started: (Instant, SystemTime),
}

/// Events that were found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The events, the newest last.
    pub events: Vec<Event>,
    /// Whether older events are missing: more were found than asked for, or old ones have been forgotten.
    pub is_truncated: bool,
}

/// Up to where a reader has followed the events of each worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Vec<u64>);

/// Events that are new to a reader.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct News {
    /// The events, the newest last.
    pub events: Vec<Event>,
    /// How many events the reader has missed, because they were forgotten before it asked, or because there were more than it takes.
    pub missed: u64,
}

impl Stories {
    /// Stories for workers that are numbered from 0. There is at least one.
    pub fn new(workers: u8) -> Self {
        Self::with_room(workers, MAX_BYTES)
    }

    fn with_room(workers: u8, max_bytes: usize) -> Self {
        let of_worker = (max_bytes / usize::from(workers.max(1))).max(MIN_BYTES_OF_WORKER);
        let workers = (0..workers.max(1)).map(|_| WorkerEvents::new(of_worker)).collect();
        Self { workers, started: (Instant::now(), SystemTime::now()) }
    }

    /// Writes an event of a worker. This never waits. A number that is too high gives the events of another worker.
    pub fn write(&self, worker: u8, event: Event) {
        self.workers[usize::from(worker) % self.workers.len()].write(Event { worker, ..event });
    }

    /// The time of day at which an event happened, by the clock as it was when the server started.
    pub fn time_of(&self, event: &Event) -> SystemTime {
        let (instant, time) = self.started;
        match event.at.checked_duration_since(instant) {
            Some(later) => time + later,
            None => time - (instant - event.at),
        }
    }

    /// How many events found no room, because their worker wrote many while a reader looked at them.
    pub fn lost(&self) -> u64 {
        self.workers.iter().map(WorkerEvents::lost).sum()
    }

    /// The newest events that fit a filter, at most `max`.
    pub fn find(&self, filter: &EventFilter, max: usize) -> Found {
        let mut found = Found::default();
        for worker in &self.workers {
            let classes =
                EventClass::ALL.into_iter().filter(|class| filter.class.is_none_or(|wanted| wanted == *class));
            classes.for_each(|class| find_in(worker, class, filter, max, &mut found));
        }
        found.events.sort_by_key(|event| (event.at, event.worker, event.sequence));
        if found.events.len() > max {
            found.events.drain(..found.events.len() - max);
            found.is_truncated = true;
        }
        found
    }

    /// The story of a peer: the newest events that concern it, at most `max`. A lookup of the peer by another is told from the peer's side.
    pub fn of_peer(&self, peer: PeerId, max: usize) -> Found {
        let Found { events, is_truncated } = self.find(&EventFilter::of_peer(peer), max);
        Found { events: events.into_iter().map(|event| event.for_story_of(&peer)).collect(), is_truncated }
    }

    /// The pairs that did not meet, the newest last, at most `max`: of each asker and target the newest event.
    pub fn unmet(&self, max: usize) -> Vec<Event> {
        let filter = EventFilter { class: Some(EventClass::Unmet), ..EventFilter::default() };
        let mut events = self.find(&filter, usize::MAX).events;
        let mut seen = std::collections::HashSet::new();
        events.reverse();
        events.retain(|event| seen.insert((event.peer, event.address, event.kind.other())));
        events.truncate(max);
        events.reverse();
        events
    }

    /// A cursor that stands behind the newest events.
    pub fn cursor(&self) -> Cursor {
        Cursor(self.workers.iter().map(|worker| worker.read().sequence).collect())
    }

    /// Moves a cursor forward behind the newest events, and returns those that it passes over: the newest `max` of them. The others are
    /// counted as missed.
    pub fn since(&self, cursor: &mut Cursor, max: usize) -> News {
        let mut news = News::default();
        for (worker, after) in self.workers.iter().zip(&mut cursor.0) {
            // Events that come meanwhile are for the next call.
            let (until, kept) = {
                let rings = worker.read();
                (rings.sequence, rings.kept_after(*after))
            };
            let come = until.saturating_sub(*after);
            news.missed += come.saturating_sub(kept);
            let before = news.events.len();
            for class in EventClass::ALL {
                news_in(worker, class, *after, until, &mut news.events);
            }
            // Some may have been forgotten since they were counted.
            news.missed += kept.min(come).saturating_sub((news.events.len() - before) as u64);
            *after = until;
        }
        news.events.sort_by_key(|event| (event.at, event.worker, event.sequence));
        if news.events.len() > max {
            let excess = news.events.len() - max;
            news.missed += excess as u64;
            news.events.drain(..excess);
        }
        news
    }
}

/// Adds the newest events of a class that fit, at most `max`.
fn find_in(worker: &WorkerEvents, class: EventClass, filter: &EventFilter, max: usize, found: &mut Found) {
    let (mut next, mut left) = (None, max);
    loop {
        let rings = worker.read();
        let ring = rings.ring(class);
        let (oldest, end) = ring.range();
        let from = next.unwrap_or(end);
        let until = oldest.max(from.saturating_sub(PIECE));
        for number in (until..from).rev() {
            let Some(event) = ring.get(number).filter(|event| filter.fits(event)) else { continue };
            if left == 0 {
                found.is_truncated = true;
                return;
            }
            left -= 1;
            found.events.push(event.clone());
        }
        if from <= oldest || until == oldest {
            found.is_truncated |= oldest > 0;
            return;
        }
        next = Some(until);
    }
}

/// Adds the events of a class with sequence numbers above `after` and up to `until`.
fn news_in(worker: &WorkerEvents, class: EventClass, after: u64, until: u64, events: &mut Vec<Event>) {
    let mut after = after;
    loop {
        let rings = worker.read();
        let ring = rings.ring(class);
        let from = ring.after(after);
        let mut last = None;
        for event in
            (from..from + PIECE).map_while(|number| ring.get(number)).take_while(|event| event.sequence <= until)
        {
            last = Some(event.sequence);
            events.push(event.clone());
        }
        match last {
            Some(last) => after = last,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests;
