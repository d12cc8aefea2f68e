//! How late this machine is. A bound that a busy machine cannot keep says nothing about the server, so bounds grow with the lateness of
//! this program's own timers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the thread that measures sleeps at a time.
const NAP: Duration = Duration::from_millis(20);
/// Each bound grows by so many times the greatest lateness since it began: what waits passes through as many threads and processes, each of
/// which may be as late.
const FACTOR: u32 = 20;
/// Of so many seconds the greatest lateness is kept.
const REMEMBERED: usize = 900;

/// The lateness of timers, second by second.
#[derive(Default)]
pub(crate) struct Patience(Mutex<VecDeque<(Instant, Duration)>>);

impl Patience {
    /// Measures from now on, in a thread of its own that lives as long as somebody asks.
    pub(crate) fn start() -> Arc<Self> {
        let patience = Arc::new(Self::default());
        let measured = Arc::downgrade(&patience);
        std::thread::spawn(move || {
            while let Some(patience) = measured.upgrade() {
                let slept = Instant::now();
                std::thread::sleep(NAP);
                let now = Instant::now();
                patience.note(now, (now - slept).saturating_sub(NAP));
            }
        });
        patience
    }

    /// Notes that something was so late.
    pub(crate) fn note(&self, now: Instant, late: Duration) {
        let mut seconds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match seconds.back_mut() {
            Some((begin, greatest)) if now.saturating_duration_since(*begin) < Duration::from_secs(1) => {
                *greatest = late.max(*greatest);
            }
            _ => seconds.push_back((now, late)),
        }
        if seconds.len() > REMEMBERED {
            seconds.pop_front();
        }
    }

    /// The greatest lateness since `since`, the second before it included.
    pub(crate) fn greatest(&self, since: Instant) -> Duration {
        let seconds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = seconds.iter().rev().take_while(|(begin, _)| *begin + Duration::from_secs(1) >= since);
        recent.map(|(_, late)| *late).max().unwrap_or_default()
    }

    /// When what began at `since` and may take `bound` is overdue.
    pub(crate) fn due(&self, since: Instant, bound: Duration) -> Instant {
        since + bound + self.greatest(since) * FACTOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_grow_by_the_lateness_since_they_began_and_by_none_before() {
        let (patience, second) = (Patience::default(), Duration::from_secs(1));
        let begin = Instant::now();
        patience.note(begin, second);
        for number in 2..6 {
            patience.note(begin + second * number, Duration::from_millis(u64::from(number)));
        }
        assert_eq!(patience.due(begin, second), begin + second + second * FACTOR);
        assert_eq!(patience.due(begin + 3 * second, second), begin + 4 * second + Duration::from_millis(5) * FACTOR);
        assert_eq!(patience.greatest(begin + 10 * second), Duration::ZERO);
    }

    #[test]
    fn a_bounded_number_of_seconds_is_remembered() {
        let (patience, begin) = (Patience::default(), Instant::now());
        for number in 0..2 * REMEMBERED as u32 {
            patience.note(begin + Duration::from_secs(1) * number, Duration::ZERO);
        }
        assert_eq!(patience.0.lock().unwrap().len(), REMEMBERED);
    }
}
