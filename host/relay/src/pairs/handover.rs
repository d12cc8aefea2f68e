//! Pairs go over to the relay of another process, which has the same ports.

use std::time::Instant;

use super::{Families, Pairs};
use crate::attempt::Side;
use crate::pair::{Pair, PairRecord};

impl<L: Copy> Pairs<L> {
    /// All pairs as they are now. `local` writes a local address of the server.
    pub fn hand_over<R>(&self, now: Instant, local: impl Fn(L) -> R) -> Vec<PairRecord<R>> {
        self.pairs.iter().flatten().map(|pair| pair.hand_over(now, &local)).collect()
    }

    /// Goes on with pairs that a relay with the same ports has handed over at `then`, however many there may be here. Gives how many: one that
    /// makes no sense is left out. The buckets of their rates are full.
    pub fn take_over<R>(&mut self, then: Instant, pairs: Vec<PairRecord<R>>, local: impl Fn(R) -> L) -> usize {
        let mut taken = 0;
        for record in pairs {
            let Some(pair) = Pair::take_over(then, record, &self.own, &local) else { continue };
            if !self.is_possible(&pair) {
                continue;
            }
            let (is_open, asked) = (pair.is_open, pair.last_asked());
            let sources = Side::BOTH.map(|side| {
                let seat = pair.seat(side);
                (side, seat.port, seat.pin.as_ref().map(|pin| pin.source))
            });
            let place = self.insert(pair);
            for (side, port, source) in sources {
                if let Some(source) = source {
                    self.by_source.insert((port, source), (place, side));
                }
            }
            if is_open {
                self.unopened.remove(&(asked, place));
                self.counts.opened += 1;
            }
            self.counts.made += 1;
            taken += 1;
        }
        taken
    }

    /// Whether a pair has ports that are here, and collides with none that is.
    fn is_possible(&self, pair: &Pair<L>) -> bool {
        let [asker, target] = Side::BOTH.map(|side| pair.seat(side));
        let is_free = |side: Side| {
            let seat = pair.seat(side);
            let is_used = |source| self.by_source.contains_key(&(seat.port, source));
            let has_family = self
                .ports
                .get(usize::from(seat.port))
                .is_some_and(|Families { v4, v6 }| if seat.party.ip().is_ipv4() { *v4 } else { *v6 });
            has_family
                && !self.by_tag.contains_key(&(seat.port, pair.key.tag.clone()))
                && !self.ports_of(seat.party.client, &[]).contains(&seat.port)
                && !seat.pin.as_ref().is_some_and(|pin| is_used(pin.source))
        };
        asker.port != target.port && !self.by_attempt.contains_key(&pair.key) && Side::BOTH.into_iter().all(is_free)
    }
}

#[cfg(test)]
mod tests;
