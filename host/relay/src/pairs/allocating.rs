//! Making pairs.

use std::time::Instant;

use smallvec::SmallVec;

use super::{Pairs, Place, RelayPorts};
use crate::attempt::{Attempt, Client, Party, Side, Tag};
use crate::counts::{End, Refusal};
use crate::limits::{Terms, rate};
use crate::pair::{AttemptKey, Pair, Seat};
use crate::startup::{MAX_TAG, MIN_TAG};

/// The pairs that give way to a new one.
type Replaced = SmallVec<[Place; 3]>;

impl<L: Copy> Pairs<L> {
    /// The ports of the pair for an attempt. A repeated attempt gets the ports that it has.
    ///
    /// # Errors
    /// If a bound is reached, if a client may not be relayed to, or if the two clients are the same. The refusal is counted.
    pub fn allocate(&mut self, now: Instant, attempt: &Attempt<'_>, terms: Terms) -> Result<RelayPorts, Refusal> {
        self.handle_timeout(now);
        self.try_allocate(now, attempt, terms).inspect_err(|refusal| self.counts.refuse(*refusal))
    }

    fn try_allocate(&mut self, now: Instant, attempt: &Attempt<'_>, terms: Terms) -> Result<RelayPorts, Refusal> {
        if !(MIN_TAG..=MAX_TAG).contains(&attempt.tag.len()) {
            return Err(Refusal::Tag);
        }
        let (asker, target) = (attempt.asker, attempt.target);
        if asker.client == target.client || asker.address == target.address {
            return Err(Refusal::SameClient);
        }
        for party in [&asker, &target] {
            if self.own.standing(party.address, party.ip()).is_none() {
                return Err(Refusal::Address);
            }
        }
        let key = AttemptKey { asker: asker.client, target: target.client, tag: Tag::from_slice(attempt.tag) };
        if let Some(&place) = self.by_attempt.get(&key) {
            return self.asked_again(now, place, attempt).ok_or(Refusal::NoPort);
        }
        // The pairs that this one replaces. None ends unless the new one is made.
        let mut replaced = Replaced::new();
        for party in [&asker, &target] {
            let place = self.replaced_for(party.client, &key)?;
            replaced.extend(place.filter(|place| !replaced.contains(place)));
        }
        // Sides that are in one network take two places of it.
        let [of_asker, of_target] = [asker, target].map(|party| Seat::<L>::new(now, 0, party).network());
        let needed = 1 + usize::from(of_asker == of_target);
        for network in [of_asker, of_target] {
            let seats = replaced.iter().filter_map(|place| self.pair(*place)).flat_map(|pair| &pair.seats);
            let freed = seats.filter(|seat| seat.network() == network).count();
            let taken = self.of_network.get(&network).copied().unwrap_or(0).saturating_sub(freed);
            if taken + needed > self.limits.max_pairs_per_network {
                return Err(Refusal::TooManyOfNetwork);
            }
        }
        let ports = self.free_ports(attempt, &key.tag, &replaced).ok_or(Refusal::NoPort)?;
        self.replace_for_all(&mut replaced)?;
        for place in replaced {
            self.remove(place, End::Replaced);
        }
        let seats = [Seat::new(now, ports.asker, asker), Seat::new(now, ports.target, target)];
        self.insert(Pair::new(now, key, seats, rate(terms.bytes_per_second), terms.lifetime));
        self.counts.made += 1;
        Ok(ports)
    }

    /// The ports of a pair whose asker asks again. Where the server sees the clients may have changed meanwhile.
    fn asked_again(&mut self, now: Instant, place: Place, attempt: &Attempt<'_>) -> Option<RelayPorts> {
        let idle = self.limits.idle;
        let pair = self.pairs.get_mut(place as usize)?.as_mut()?;
        let before = pair.last_asked();
        pair.asked(now);
        if self.unopened.remove(&(before, place)) {
            self.unopened.insert((now, place));
        }
        for side in Side::BOTH {
            let (seat, party) = (pair.seat_mut(side), attempt.party(side));
            if seat.pin.is_none() {
                let network = seat.network();
                seat.party = *party;
                let other = seat.network();
                if network != other {
                    if let Some(count) = self.of_network.get_mut(&network) {
                        *count -= 1;
                        if *count == 0 {
                            self.of_network.remove(&network);
                        }
                    }
                    *self.of_network.entry(other).or_default() += 1;
                }
            }
        }
        let (end, _) = pair.end(idle);
        let ports = RelayPorts { asker: pair.seat(Side::Asker).port, target: pair.seat(Side::Target).port };
        self.arm(place, end);
        Some(ports)
    }

    /// The pair that gives way to one more pair of a client, if it has as many as it may have: one between the same two clients, whose new attempt
    /// this is, or else the one of its pairs over which nothing has come about for the longest time.
    fn replaced_for(&self, client: Client, key: &AttemptKey) -> Result<Option<Place>, Refusal> {
        let Some(places) = self.of_client.get(&client) else { return Ok(None) };
        let has_all = places.len() >= self.limits.max_pairs_per_client;
        if !has_all && places.len() < self.ports.len() {
            return Ok(None);
        }
        let pairs = || places.iter().filter_map(|place| Some((*place, self.pair(*place)?)));
        let of_same_two = pairs()
            .filter(|(_, pair)| (pair.key.asker, pair.key.target) == (key.asker, key.target))
            .min_by_key(|(_, pair)| pair.made);
        let unopened = || pairs().filter(|(_, pair)| !pair.is_open).min_by_key(|(_, pair)| pair.last_asked());
        let refusal = if has_all { Refusal::TooManyOfClient } else { Refusal::NoPort };
        let (place, _) = of_same_two.or_else(unopened).ok_or(refusal)?;
        Ok(Some(place))
    }

    /// Adds the pairs that give way to one more, if there are as many as there may be: those over which nothing has come about for the longest time.
    /// After a reload there may be more than one too many.
    fn replace_for_all(&self, replaced: &mut Replaced) -> Result<(), Refusal> {
        let Some(others) = self.limits.max_pairs.checked_sub(1) else { return Err(Refusal::TooManyPairs) };
        let excess = (self.len() - replaced.len()).saturating_sub(others);
        let oldest = self.unopened.iter().map(|(_, place)| *place);
        let more: Replaced = oldest.filter(|place| !replaced.contains(place)).take(excess).collect();
        if more.len() < excess {
            return Err(Refusal::TooManyPairs);
        }
        replaced.extend(more);
        Ok(())
    }

    /// Two ports that are free for the two clients, when these pairs have given way.
    fn free_ports(&mut self, attempt: &Attempt<'_>, tag: &Tag, replaced: &[Place]) -> Option<RelayPorts> {
        let of_asker = self.ports_of(attempt.asker.client, replaced);
        let of_target = self.ports_of(attempt.target.client, replaced);
        let count = self.ports.len();
        let start = self.next_port;
        let ports = || (0..count).filter_map(move |offset| u16::try_from((start + offset) % count).ok());
        let fits = |port: u16, party: &Party, used: &[u16]| {
            let Some(families) = self.ports.get(usize::from(port)) else { return false };
            let has_family = if party.ip().is_ipv4() { families.v4 } else { families.v6 };
            has_family && !used.contains(&port) && !self.by_tag.contains_key(&(port, tag.clone()))
        };
        // The one port that is free for the target may be the first that is free for the asker: then the second leaves it to the target.
        let for_asker = ports().filter(|port| fits(*port, &attempt.asker, &of_asker)).take(2);
        let (asker, target) = for_asker.into_iter().find_map(|asker| {
            let target = ports().find(|port| *port != asker && fits(*port, &attempt.target, &of_target))?;
            Some((asker, target))
        })?;
        self.next_port = (usize::from(target) + 1) % count;
        Some(RelayPorts { asker, target })
    }

    /// The ports at which a client has pairs, besides these.
    pub(super) fn ports_of(&self, client: Client, replaced: &[Place]) -> SmallVec<[u16; 16]> {
        let places = self.of_client.get(&client).into_iter().flatten().filter(|place| !replaced.contains(place));
        let pairs = places.filter_map(|place| self.pair(*place));
        let seats = pairs.flat_map(|pair| pair.seats.iter().filter(move |seat| seat.party.client == client));
        seats.map(|seat| seat.port).collect()
    }
}
