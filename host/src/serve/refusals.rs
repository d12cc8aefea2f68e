//! Logs which addresses exceed a limit, without a line for each refusal.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rtmfp::NetworkPrefix;

/// The time between two lines about the same address and limit.
const INTERVAL: Duration = Duration::from_secs(10);
/// The maximum number of lines in that time.
const MAX_LINES: usize = 64;

/// The refusals of the last seconds.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<RecentRefusals>);

#[derive(Debug, Default)]
struct RecentRefusals {
    /// When the last line about an address and a limit was logged, and how many refusals there were since.
    logged: HashMap<(NetworkPrefix, &'static str), (Instant, u64)>,
    /// The number of refusals of addresses that had no line.
    others: u64,
}

/// A line for the log.
#[derive(Debug, PartialEq, Eq)]
struct RefusalLine {
    /// How many refusals there were since the last line about the same address and limit.
    times: u64,
    /// How many refusals of addresses without a line there were.
    others: u64,
}

impl Refusals {
    /// Logs that a datagram or session from `from` is refused because of the setting `limit`.
    pub(super) fn tell(&self, now: Instant, from: IpAddr, limit: &'static str) {
        let from = NetworkPrefix::of(from);
        let line = self.0.lock().note(now, from, limit);
        if let Some(RefusalLine { times, others }) = line {
            tracing::info!(address = %from, limit, times, others, "refused: over a limit");
        }
    }
}

#[cfg(test)]
impl Refusals {
    /// The limits of which lines tell, one for each address.
    pub(super) fn told(&self) -> Vec<&'static str> {
        let mut limits: Vec<_> = self.0.lock().logged.keys().map(|(_, limit)| *limit).collect();
        limits.sort_unstable();
        limits
    }
}

impl RecentRefusals {
    fn note(&mut self, now: Instant, from: NetworkPrefix, limit: &'static str) -> Option<RefusalLine> {
        let is_old = |logged: Instant| now.saturating_duration_since(logged) >= INTERVAL;
        if let Some((logged, times)) = self.logged.get_mut(&(from, limit)) {
            *times += 1;
            if !is_old(*logged) {
                return None;
            }
            let line = RefusalLine { times: std::mem::take(times), others: std::mem::take(&mut self.others) };
            *logged = now;
            return Some(line);
        }
        if self.logged.len() >= MAX_LINES {
            let others = &mut self.others;
            self.logged.retain(|_, (logged, times)| {
                let stays = !is_old(*logged);
                *others += if stays { 0 } else { *times };
                stays
            });
            if self.logged.len() >= MAX_LINES {
                self.others += 1;
                return None;
            }
        }
        self.logged.insert((from, limit), (now, 0));
        Some(RefusalLine { times: 1, others: std::mem::take(&mut self.others) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(host: u32) -> NetworkPrefix {
        NetworkPrefix::of(std::net::Ipv4Addr::from(host).into())
    }

    #[test]
    fn the_first_refusal_has_a_line_and_the_next_ones_are_summed_up() {
        let (mut state, now) = (RecentRefusals::default(), Instant::now());
        assert_eq!(state.note(now, from(1), "a"), Some(RefusalLine { times: 1, others: 0 }));
        assert!((0..4997).all(|_| state.note(now, from(1), "a").is_none()));
        assert_eq!(state.note(now, from(1), "b"), Some(RefusalLine { times: 1, others: 0 }));
        assert_eq!(state.note(now + INTERVAL, from(1), "a"), Some(RefusalLine { times: 4998, others: 0 }));
    }

    #[test]
    fn many_addresses_have_few_lines_and_nothing_is_lost_of_the_count() {
        let (mut state, now) = (RecentRefusals::default(), Instant::now());
        let mut sum = 0;
        for round in 0..3 {
            let lines = (0..10_000).filter_map(|host| state.note(now + round * INTERVAL, from(host), "a"));
            let lines: Vec<RefusalLine> = lines.collect();
            assert!(lines.len() <= 2 * MAX_LINES, "{}", lines.len());
            sum += lines.iter().map(|line| line.times + line.others).sum::<u64>();
        }
        sum += state.others + state.logged.values().map(|(_, times)| times).sum::<u64>();
        assert_eq!(sum, 30_000);
    }

    #[test]
    fn refusals_of_an_address_without_a_line_are_told_with_the_next_line() {
        let (mut state, now) = (RecentRefusals::default(), Instant::now());
        for host in 0..MAX_LINES as u32 {
            assert!(state.note(now, from(host), "a").is_some());
        }
        assert!((100..110).all(|host| state.note(now, from(host), "a").is_none()));
        assert!(state.note(now, from(0), "a").is_none());
        assert_eq!(state.note(now + INTERVAL, from(1), "a"), Some(RefusalLine { times: 1, others: 10 }));
        assert!(state.note(now + INTERVAL, from(1), "a").is_none(), "the next line about it comes an interval later");
        assert_eq!(state.logged.len(), MAX_LINES);
        // Old lines make room, and what was counted for them is told.
        assert_eq!(state.note(now + INTERVAL, from(200), "a"), Some(RefusalLine { times: 1, others: 1 }));
        assert_eq!(state.logged.len(), 2);
    }
}
