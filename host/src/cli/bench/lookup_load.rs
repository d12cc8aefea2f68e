//! Pending lookups, and the counts of those that are answered or lost.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::fleet::Fleet;
use super::hellos::Hellos;
use super::report::Tally;

/// A lookup that is not answered within this time is lost.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Looks connected peers up in turn, from many sources.
pub(super) struct LookupLoad {
    pub(super) hellos: Hellos,
    servers: Vec<SocketAddr>,
    /// Of the peers at sources 0, 1, 2, and so on.
    epds: Vec<[u8; 34]>,
    /// The first source of the askers, and how many there are, at least one for each server.
    askers: (usize, usize),
    /// When the lookups from number `first` on were sent; `None` once answered.
    under_way: VecDeque<Option<Instant>>,
    first: u64,
    /// How many of them are not answered.
    waiting: usize,
    /// Those that are answered or lost.
    pub(super) tally: Tally,
}

impl LookupLoad {
    pub(super) fn new(servers: Vec<SocketAddr>, epds: Vec<[u8; 34]>, askers: (usize, usize)) -> Self {
        Self {
            hellos: Hellos::new(),
            servers,
            epds,
            askers,
            under_way: VecDeque::new(),
            first: 0,
            waiting: 0,
            tally: Tally::default(),
        }
    }

    /// How many lookups are neither answered nor lost.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Forgets what was counted.
    pub(super) fn reset(&mut self) {
        self.tally = Tally::default();
    }

    /// Sends the next lookup.
    pub(super) fn ask(&mut self, fleet: &mut Fleet, now: Instant) {
        let number = self.first + self.under_way.len() as u64;
        let target = (number % self.epds.len().max(1) as u64) as usize;
        let Some(epd) = self.epds.get(target) else { return };
        let asker = asker(self.servers.len(), self.askers, target, number);
        let server = self.servers[target % self.servers.len()];
        fleet.sources.send(asker, server, self.hellos.hello(epd, number));
        self.under_way.push_back(Some(now));
        self.waiting += 1;
    }

    /// Handles a datagram that came to an asker.
    pub(super) fn take(&mut self, datagram: &mut [u8]) {
        if let Some(number) = self.hellos.answered(datagram) {
            self.answered(number);
        }
    }

    /// Counts a lookup as answered.
    pub(super) fn answered(&mut self, number: u64) {
        let place = number.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        if let Some(sent) = place.and_then(|place| self.under_way.get_mut(place)).and_then(Option::take) {
            self.tally.latencies.add(sent.elapsed());
            self.tally.done += 1;
            self.waiting -= 1;
        }
    }

    /// Forgets the lookups that are answered or lost.
    pub(super) fn give_up(&mut self, now: Instant) {
        while let Some(sent) = self.under_way.front() {
            match sent {
                Some(sent) if now.saturating_duration_since(*sent) < ANSWER_TIMEOUT => break,
                Some(_) => {
                    self.tally.lost += 1;
                    self.waiting -= 1;
                }
                None => (),
            }
            self.under_way.pop_front();
            self.first += 1;
        }
    }
}

/// The source that asks for a peer: askers take turns, each at the server to which the peer is connected.
fn asker(servers: usize, (first, count): (usize, usize), target: usize, number: u64) -> usize {
    // The first asker whose server is that of the target.
    let begin = (target + servers - first % servers) % servers;
    let own = count.saturating_sub(begin).div_ceil(servers).max(1);
    first + begin + servers * (number as usize / servers % own)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_askers_take_turns_and_each_asks_the_server_of_its_target() {
        for (servers, first, count, targets) in [(1, 256, 64, 256), (2, 5, 7, 5), (2, 4, 2, 4), (3, 10, 9, 3)] {
            let asked: BTreeSet<usize> = (0..1000u64)
                .map(|number| {
                    let target = (number % targets) as usize;
                    let asker = asker(servers, (first, count), target, number);
                    assert_eq!(asker % servers, target % servers);
                    asker
                })
                .collect();
            assert_eq!(asked, (first..first + count).collect(), "{servers} {first} {count}");
        }
    }
}
