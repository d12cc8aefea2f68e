//! Which peers are there and which are gone: nobody who is gone may be named for long.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use rtmfp::PeerId;

use super::client::Number;
use crate::bounds::{ENDED_FORGOTTEN, VANISHED_FORGOTTEN};
use crate::calm::EVERYTHING;
use crate::world::World;

/// After so long nothing is remembered of a peer that is gone: to name it is wrong as it is to name one that never was.
const REMEMBERED: Duration = Duration::from_secs(900);

/// How a peer went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    /// Its session was closed, or its server ended.
    Ended,
    /// It vanished without a word.
    Vanished,
}

#[derive(Clone, Copy)]
enum State {
    Here(Number),
    Gone(Gone),
}

#[derive(Clone, Copy)]
pub(super) struct Gone {
    since: Instant,
    how: Departure,
}

/// All peers that are there, and those that went lately.
#[derive(Default)]
pub(super) struct People {
    states: HashMap<PeerId, State>,
    /// In the order in which they went.
    gone: VecDeque<(PeerId, Instant)>,
    /// Those of which nobody has looked yet whether they are named, likewise: who ended, and who vanished, which is forgotten later.
    unverified: [VecDeque<PeerId>; 2],
}

impl Gone {
    /// How long ago that was.
    pub(super) fn age(self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// From when on nobody may name the peer; `None` while a part is disturbed.
    pub(super) fn forgotten_at(self, world: &World) -> Option<Instant> {
        let base = self.since.max(world.calm.since(&EVERYTHING)?);
        let bound = match self.how {
            Departure::Ended => ENDED_FORGOTTEN,
            Departure::Vanished => VANISHED_FORGOTTEN,
        };
        Some(world.patience.due(base, bound))
    }
}

impl People {
    /// A client with this peer id asks to be connected.
    pub(super) fn comes(&mut self, peer: PeerId, number: Number) {
        self.states.insert(peer, State::Here(number));
    }

    /// The client is gone, unless its peer has come back as another client.
    pub(super) fn goes(&mut self, now: Instant, peer: PeerId, number: Number, how: Departure) {
        if matches!(self.states.get(&peer), Some(State::Here(here)) if *here == number) {
            self.states.insert(peer, State::Gone(Gone { since: now, how }));
            self.gone.push_back((peer, now));
            self.unverified[usize::from(how == Departure::Vanished)].push_back(peer);
        }
        while let Some((peer, since)) = self.gone.front().copied()
            && since + REMEMBERED < now
        {
            self.gone.pop_front();
            if matches!(self.states.get(&peer), Some(State::Gone(gone)) if gone.since == since) {
                self.states.remove(&peer);
            }
        }
    }

    /// When the peer went; `None` if it is there, or is not known.
    pub(super) fn gone(&self, peer: &PeerId) -> Option<Gone> {
        match self.states.get(peer) {
            Some(State::Gone(gone)) => Some(*gone),
            _ => None,
        }
    }

    /// Whether somebody has or had this peer id.
    pub(super) fn is_known(&self, peer: &PeerId) -> bool {
        self.states.contains_key(peer)
    }

    /// The next peer that nobody may name any more, and of which nobody has looked whether it is. Each is given out once.
    pub(super) fn next_forgotten(&mut self, now: Instant, world: &World) -> Option<PeerId> {
        let states = &self.states;
        for queue in &mut self.unverified {
            while let Some(peer) = queue.front().copied() {
                match states.get(&peer) {
                    Some(State::Gone(gone)) if gone.forgotten_at(world).is_none_or(|at| at > now) => break,
                    Some(State::Gone(_)) => return queue.pop_front(),
                    // It has come back.
                    _ => drop(queue.pop_front()),
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::calm::{Calm, Part};
    use crate::patience::Patience;

    use super::*;

    #[test]
    fn who_is_gone_may_be_named_until_its_bound_which_begins_anew_after_a_fault() {
        let (begin, second, peer) = (Instant::now(), Duration::from_secs(1), PeerId([7; 32]));
        let world = World::new(Vec::new(), Calm::new(begin), Patience::default().into());
        let mut people = People::default();
        people.comes(peer, 1);
        assert!(people.gone(&peer).is_none() && people.is_known(&peer) && !people.is_known(&PeerId([8; 32])));
        people.goes(begin + second, peer, 1, Departure::Ended);
        let at = |people: &People| people.gone(&peer).unwrap().forgotten_at(&world);
        assert_eq!(at(&people), Some(begin + second + ENDED_FORGOTTEN));
        world.calm.disturb(Part::Redis, false);
        assert_eq!(at(&people), None);
        world.calm.settle(Part::Redis, begin + 5 * second, false);
        assert_eq!(at(&people), Some(begin + 5 * second + ENDED_FORGOTTEN));
        let due = begin + 5 * second + ENDED_FORGOTTEN;
        assert_eq!(people.next_forgotten(due - second, &world), None);
        assert_eq!(people.next_forgotten(due, &world), Some(peer));
        assert_eq!(people.next_forgotten(due, &world), None, "once");
    }

    #[test]
    fn a_peer_that_came_back_is_not_gone_when_its_earlier_client_is() {
        let (begin, peer) = (Instant::now(), PeerId([7; 32]));
        let world = World::new(Vec::new(), Calm::new(begin), Patience::default().into());
        let mut people = People::default();
        people.comes(peer, 1);
        people.goes(begin, peer, 1, Departure::Vanished);
        people.comes(peer, 2);
        people.goes(begin, peer, 1, Departure::Ended);
        assert!(people.gone(&peer).is_none());
        assert_eq!(people.next_forgotten(begin + REMEMBERED, &world), None);
        people.goes(begin, peer, 2, Departure::Ended);
        people.comes(PeerId([8; 32]), 3);
        people.goes(begin + 2 * REMEMBERED, PeerId([8; 32]), 3, Departure::Ended);
        assert!(!people.is_known(&peer), "long ago");
    }
}
