//! Tells in the log whom a limit has kept out, without a line for each time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rtmfp::NetworkPrefix;

/// The same address and limit are told of again after this time, with how often it was in between.
const INTERVAL: Duration = Duration::from_secs(10);
/// So many addresses are told of in that time.
const MAX_TOLD: usize = 64;

/// What was refused of late.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When an address was told of, and how often it was refused since.
    told: HashMap<(NetworkPrefix, &'static str), (Instant, u64)>,
    /// Refusals of addresses that there was no place for.
    others: u64,
}

/// A line for the log.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    /// How often since the last line about the same.
    times: u64,
    /// How often others, who had no line.
    others: u64,
}

impl Refusals {
    /// Something that came from `from` is refused, because of the setting `limit`.
    pub(super) fn tell(&self, now: Instant, from: IpAddr, limit: &'static str) {
        let from = NetworkPrefix::of(from);
        let line = self.0.lock().unwrap_or_else(PoisonError::into_inner).note(now, from, limit);
        if let Some(Line { times, others }) = line {
            tracing::info!(address = %from, limit, times, others, "refused: over a limit");
        }
    }
}

impl State {
    fn note(&mut self, now: Instant, from: NetworkPrefix, limit: &'static str) -> Option<Line> {
        let is_old = |told: Instant| now.saturating_duration_since(told) >= INTERVAL;
        if let Some((told, times)) = self.told.get_mut(&(from, limit)) {
            *times += 1;
            if !is_old(*told) {
                return None;
            }
            let line = Line { times: std::mem::take(times), others: std::mem::take(&mut self.others) };
            *told = now;
            return Some(line);
        }
        if self.told.len() >= MAX_TOLD {
            let others = &mut self.others;
            self.told.retain(|_, (told, times)| {
                let stays = !is_old(*told);
                *others += if stays { 0 } else { *times };
                stays
            });
            if self.told.len() >= MAX_TOLD {
                self.others += 1;
                return None;
            }
        }
        self.told.insert((from, limit), (now, 0));
        Some(Line { times: 1, others: std::mem::take(&mut self.others) })
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
        let (mut state, now) = (State::default(), Instant::now());
        assert_eq!(state.note(now, from(1), "a"), Some(Line { times: 1, others: 0 }));
        assert!((0..4997).all(|_| state.note(now, from(1), "a").is_none()));
        assert_eq!(state.note(now, from(1), "b"), Some(Line { times: 1, others: 0 }));
        assert_eq!(state.note(now + INTERVAL, from(1), "a"), Some(Line { times: 4998, others: 0 }));
    }

    #[test]
    fn many_addresses_have_few_lines_and_nothing_is_lost_of_the_count() {
        let (mut state, now) = (State::default(), Instant::now());
        let mut sum = 0;
        for round in 0..3 {
            let lines = (0..10_000).filter_map(|host| state.note(now + round * INTERVAL, from(host), "a"));
            let lines: Vec<Line> = lines.collect();
            assert!(lines.len() <= 2 * MAX_TOLD, "{}", lines.len());
            sum += lines.iter().map(|line| line.times + line.others).sum::<u64>();
        }
        sum += state.others + state.told.values().map(|(_, times)| times).sum::<u64>();
        assert_eq!(sum, 30_000);
    }
}
