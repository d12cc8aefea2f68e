//! How many streams there are: of all callers, and on each connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many streams there are at a time.
pub(super) const MAX_STREAMS: usize = 8;

/// The streams of all connections.
#[derive(Debug, Default)]
pub(super) struct Streams(Arc<AtomicUsize>);

/// The streams of one connection: as long as it has any, it lives on.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenStreams(Arc<AtomicUsize>);

/// The place of one stream, which is given back when this is dropped.
#[derive(Debug)]
pub(super) struct StreamPlace([Arc<AtomicUsize>; 2]);

impl Streams {
    /// A place for one more stream, on that connection; `None` if there are too many.
    pub(super) fn enter(&self, on: OpenStreams) -> Option<StreamPlace> {
        let more = |count: usize| (count < MAX_STREAMS).then_some(count + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        on.0.fetch_add(1, Ordering::AcqRel);
        Some(StreamPlace([Arc::clone(&self.0), on.0]))
    }
}

impl OpenStreams {
    pub(super) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        for count in &self.0 {
            count.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_come_back() {
        let (all, one, other) = (Streams::default(), OpenStreams::default(), OpenStreams::default());
        let mut places: Vec<StreamPlace> = (1..MAX_STREAMS).map(|_| all.enter(one.clone()).unwrap()).collect();
        let last = all.enter(other.clone()).unwrap();
        assert!(all.enter(other.clone()).is_none());
        assert!(!one.is_empty() && !other.is_empty());
        drop(last);
        assert!(other.is_empty() && !one.is_empty());
        places.push(all.enter(other.clone()).unwrap());
        drop(places);
        assert!(one.is_empty() && other.is_empty());
        assert_eq!(all.0.load(Ordering::Acquire), 0);
    }
}
