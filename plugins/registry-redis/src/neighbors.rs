//! Queries for the neighbours of a position in a group: those that wait, and what comes of Redis's answers.

use std::collections::{HashSet, VecDeque};

use introd_plugin::{NeighborQuery, PeerId};

use crate::answer::Failure;
use crate::member::{DeadServer, Member};

/// The largest number of neighbours on each side, and of far members, that a query can ask for.
pub(crate) const MAX_NEIGHBORS: usize = 16;

/// The members around a position, the nearest first.
pub type Neighbors = Result<Vec<PeerId>, Failure>;

/// Receives the answer to a query. It runs on the registry's thread and must not block.
pub type NeighborsReply = Box<dyn FnOnce(Neighbors) + Send>;

/// A query that waits for Redis.
pub(crate) struct PendingQuery {
    pub(crate) query: NeighborQuery,
    pub(crate) reply: NeighborsReply,
    /// How often Redis was asked already.
    pub(crate) round: usize,
    /// The dead servers whose members were in the way the last time.
    pub(crate) dead: Vec<DeadServer>,
}

/// The queries that wait for Redis.
#[derive(Default)]
pub(crate) struct PendingQueries {
    queue: VecDeque<PendingQuery>,
    in_flight: usize,
}

impl PendingQueries {
    pub(crate) fn len(&self) -> usize {
        self.queue.len() + self.in_flight
    }

    pub(crate) fn add(&mut self, query: NeighborQuery, reply: NeighborsReply) {
        self.queue.push_back(PendingQuery { query, reply, round: 0, dead: Vec::new() });
    }

    /// The next queries to ask Redis, `max` at most. Each is given back by [`Self::ask_again`] or [`Self::answered`].
    pub(crate) fn take(&mut self, max: usize) -> Vec<PendingQuery> {
        let taken: Vec<PendingQuery> = self.queue.drain(..self.queue.len().min(max)).collect();
        self.in_flight += taken.len();
        taken
    }

    /// Redis must be asked again, before all others.
    pub(crate) fn ask_again(&mut self, queries: Vec<PendingQuery>) {
        self.in_flight -= queries.len();
        for query in queries.into_iter().rev() {
            self.queue.push_front(query);
        }
    }

    /// So many queries have been answered.
    pub(crate) fn answered(&mut self, number: usize) {
        self.in_flight -= number;
    }

    /// Removes all queries that are not in flight.
    pub(crate) fn take_all(&mut self) -> Vec<PendingQuery> {
        self.queue.drain(..).collect()
    }
}

/// What Redis holds around a position. Each part has `limit` members at most, the nearest first.
#[derive(Default)]
pub(crate) struct Surroundings {
    /// From the position to the end of the ring.
    pub(crate) after: Vec<Member>,
    /// From the beginning of the ring.
    pub(crate) first: Vec<Member>,
    /// From the position back to the beginning of the ring.
    pub(crate) before: Vec<Member>,
    /// From the end of the ring back.
    pub(crate) last: Vec<Member>,
    /// From anywhere.
    pub(crate) far: Vec<Member>,
}

/// What the surroundings of a position come to.
pub(crate) struct Choice {
    pub(crate) peers: Vec<PeerId>,
    /// Whether there may be nearer neighbours, because the answers were full of members that do not count.
    pub(crate) is_short: bool,
}

impl Surroundings {
    /// All members in it.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        [&self.after, &self.first, &self.before, &self.last, &self.far].into_iter().flatten()
    }

    /// Chooses the neighbours that a query wants among the members that live. `limit` is the length that the parts have at most.
    pub(crate) fn choose(&self, query: &NeighborQuery, limit: usize, lives: impl Fn(&Member) -> bool) -> Choice {
        let near = query.near.min(MAX_NEIGHBORS);
        // A peer may be at several servers, and in a small group one part is full of what another one has.
        let side = |part: &[Member], rest: &[Member]| {
            let mut seen = HashSet::new();
            let counts = |member: &&Member| member.peer != query.peer && lives(member) && seen.insert(member.peer);
            let is_whole = part.len() < limit && rest.len() < limit;
            let rest = if part.len() < limit { rest } else { &[] };
            let chosen: Vec<PeerId> =
                part.iter().chain(rest).filter(counts).take(near).map(|member| member.peer).collect();
            let is_short = chosen.len() < near && !is_whole;
            (chosen, is_short)
        };
        let (after, after_is_short) = side(&self.after, &self.first);
        let (before, before_is_short) = side(&self.before, &self.last);
        let mut peers = Vec::new();
        let mut seen = HashSet::from([query.peer]);
        for place in 0..near {
            for side in [&after, &before] {
                peers.extend(side.get(place).copied().filter(|peer| seen.insert(*peer)));
            }
        }
        let far = self.far.iter().filter(|member| lives(member)).map(|member| member.peer);
        peers.extend(far.filter(|peer| seen.insert(*peer)).take(query.far.min(MAX_NEIGHBORS)));
        Choice { peers, is_short: after_is_short || before_is_short }
    }
}

#[cfg(test)]
mod tests {
    use introd_plugin::{GroupId, RingPosition};

    use super::*;
    use crate::entry::Epoch;

    /// A member at its own position, at the server of that epoch. Servers of even epochs live.
    fn member(number: u8, epoch: u8) -> Member {
        let (position, peer) = (RingPosition([number; 32]), PeerId([number; 32]));
        Member { position, peer, epoch: Epoch([epoch; 8]), server: b"s".as_slice().into() }
    }

    fn lives(member: &Member) -> bool {
        member.epoch.0[0].is_multiple_of(2)
    }

    /// What Redis answers for a position, of a ring of members in order.
    fn around(ring: &[Member], position: u8, limit: usize) -> Surroundings {
        let at = ring.iter().position(|member| member.position.0[0] >= position).unwrap_or(ring.len());
        let part = |members: &mut dyn Iterator<Item = &Member>| members.take(limit).cloned().collect();
        Surroundings {
            after: part(&mut ring[at..].iter()),
            first: part(&mut ring.iter()),
            before: part(&mut ring[..at].iter().rev()),
            last: part(&mut ring.iter().rev()),
            far: part(&mut ring.iter()),
        }
    }

    fn query(peer: u8, near: usize, far: usize) -> NeighborQuery {
        let (position, peer) = (RingPosition([peer; 32]), PeerId([peer; 32]));
        NeighborQuery { group: GroupId([0; 32]), peer, position, near, far }
    }

    fn numbers(choice: &Choice) -> Vec<u8> {
        choice.peers.iter().map(|peer| peer.0[0]).collect()
    }

    #[test]
    fn neighbours_alternate_and_the_ring_has_no_end() {
        let ring: Vec<Member> = [10, 20, 30, 40, 50].map(|number| member(number, 2)).to_vec();
        let choose = |peer, near, limit| {
            let choice = around(&ring, peer, limit).choose(&query(peer, near, 0), limit, lives);
            assert!(!choice.is_short);
            numbers(&choice)
        };
        assert_eq!(choose(30, 1, 2), [40, 20]);
        assert_eq!(choose(30, 2, 3), [40, 20, 50, 10]);
        assert_eq!(choose(10, 2, 3), [20, 50, 30, 40], "it is not among its own neighbours");
        assert_eq!(choose(55, 2, 3), [10, 50, 20, 40], "a position without a member");
        assert_eq!(choose(0, 1, 2), [10, 50]);
        assert_eq!(choose(30, 16, 17), [40, 20, 50, 10], "there are no more");
        assert_eq!(choose(30, 0, 1), []);
    }

    #[test]
    fn members_of_dead_servers_do_not_count_and_if_they_fill_the_answer_it_is_short() {
        let mut ring: Vec<Member> = (1..=100).map(|number| member(number, 1)).collect();
        ring.push(member(200, 2));
        let short = around(&ring, 50, 4).choose(&query(50, 3, 2), 4, lives);
        assert_eq!((numbers(&short), short.is_short), (vec![], true), "there may be more behind the dead");
        let whole = around(&ring, 50, 200).choose(&query(50, 3, 2), 200, lives);
        assert_eq!((numbers(&whole), whole.is_short), (vec![200], false));
        // As many as are wanted are enough, however many dead ones are between them.
        let mixed: Vec<Member> = (1..=20).map(|number| member(number, number % 2 + 1)).collect();
        let enough = around(&mixed, 10, 9).choose(&query(10, 3, 0), 9, lives);
        assert_eq!((numbers(&enough), enough.is_short), (vec![11, 9, 13, 7, 15, 5], false));
    }

    #[test]
    fn a_peer_at_several_servers_is_named_once_and_far_members_are_others() {
        let ring = [member(10, 2), member(20, 2), member(20, 4), member(20, 6), member(30, 2), member(40, 2)];
        let choice = around(&ring, 10, 4).choose(&query(10, 1, 2), 4, lives);
        assert_eq!(numbers(&choice), [20, 40], "the far ones are known already");
        let choice = around(&ring, 10, 6).choose(&query(10, 1, 2), 6, lives);
        assert_eq!(numbers(&choice), [20, 40, 30]);
    }

    #[test]
    fn queries_wait_in_order_and_those_that_are_asked_again_come_first() {
        let mut pending = PendingQueries::default();
        for number in 0..4 {
            pending.add(query(number, 1, 1), Box::new(|_| ()));
        }
        let peers = |queries: &[PendingQuery]| queries.iter().map(|it| it.query.peer.0[0]).collect::<Vec<_>>();
        let taken = pending.take(3);
        assert_eq!((peers(&taken), pending.len()), (vec![0, 1, 2], 4));
        pending.ask_again(taken);
        let taken = pending.take(2);
        assert_eq!((peers(&taken), pending.len()), (vec![0, 1], 4));
        pending.answered(2);
        assert_eq!((peers(&pending.take_all()), pending.len()), (vec![2, 3], 0));
    }
}
