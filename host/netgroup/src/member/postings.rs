//! The postings that a member has, and those that neighbours have offered to it (WIRE.md §3.7).
//!
//! A neighbour that announces a posting is asked for it, unless another has been asked already; if no answer comes in time, the next one
//! that has announced it is asked. So a neighbour that announces and does not answer delays a posting and does not suppress it. Each
//! neighbour has a rate and a room of its own: one that floods has no part in what the others offer.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rtmfp::{PeerId, Rate, TokenBucket};

use super::posting::{Key, PostingId};

/// The longest posting that is accepted, in bytes.
pub const MAX_POSTING: usize = 64 * 1024;
/// How many postings are kept for neighbours that ask for them, and how many bytes of them. There is always room for one.
const MAX_KEPT: usize = 512;
const MAX_KEPT_BYTES: usize = 4 << 20;
/// How many postings a new neighbour is told of.
const MAX_TOLD: usize = 64;
/// How many keys are remembered, so that no posting is delivered twice.
pub(super) const MAX_SEEN: usize = 32_768;
/// How many postings one neighbour is asked for at a time.
const MAX_ASKED: usize = 64;
/// How many announced postings wait for their turn at one neighbour. Beyond it the oldest is given up.
const MAX_WAITING: usize = 256;
/// How many of the neighbours that have announced a posting are remembered.
const MAX_OFFERERS: usize = 4;
/// The time after which another neighbour is asked for the same posting.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How many postings one neighbour is asked for.
const ASK_RATE: Rate = Rate { burst: 512, per_second: 500 };
/// How many bytes of postings one neighbour may send; more of them delays what is asked for next.
const BYTE_RATE: Rate = Rate { burst: 4 << 20, per_second: 2 << 20 };
/// How long what waits for a rate waits at least.
const RATE_INTERVAL: Duration = Duration::from_millis(100);

/// The postings that are kept, seen and offered. Each number is bounded.
#[derive(Debug)]
pub(super) struct Postings {
    /// What the times of rates count from.
    epoch: Instant,
    /// The keys that were seen, with the values of those that are kept.
    seen: BTreeMap<Key, Option<Box<[u8]>>>,
    /// The keys in `seen` in the order in which they came.
    order: VecDeque<Key>,
    /// The keys whose values are kept, in the same order, and how many bytes these have.
    kept: VecDeque<Key>,
    kept_bytes: usize,
    /// The keys that are not seen and that neighbours have announced.
    offers: BTreeMap<Key, Offer>,
    offerers: BTreeMap<PeerId, Offerer>,
    /// Who was asked for what, and when; answered ones may still be among them.
    asked: VecDeque<(Instant, PeerId, Key)>,
    /// When something that waits for a rate may go on.
    retry: Option<Instant>,
}

/// A posting that is not here yet.
#[derive(Debug, Default)]
struct Offer {
    /// The neighbours that have announced it and that were not asked in vain. The first is asked, or it waits for its turn there.
    offerers: Vec<PeerId>,
    /// Since when the first one is asked.
    asked: Option<Instant>,
}

/// A neighbour that announces postings.
#[derive(Debug, Default)]
struct Offerer {
    waiting: VecDeque<Key>,
    asked: usize,
    asks: TokenBucket,
    bytes: TokenBucket,
}

impl Postings {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            seen: BTreeMap::new(),
            order: VecDeque::new(),
            kept: VecDeque::new(),
            kept_bytes: 0,
            offers: BTreeMap::new(),
            offerers: BTreeMap::new(),
            asked: VecDeque::new(),
            retry: None,
        }
    }

    /// Adds a posting that is made here. `None` if it is known already, or is too long.
    pub(super) fn add(&mut self, value: &[u8]) -> Option<PostingId> {
        let id = PostingId::of(value);
        let key = id.key();
        if value.len() > MAX_POSTING || self.seen.contains_key(&key) {
            return None;
        }
        self.forget_offer(&key);
        self.seen.insert(key, Some(value.into()));
        self.order.push_back(key);
        self.kept.push_back(key);
        self.kept_bytes += value.len();
        while self.kept.len() > MAX_KEPT || (self.kept_bytes > MAX_KEPT_BYTES && self.kept.len() > 1) {
            let Some(old) = self.kept.pop_front() else { break };
            let value = self.seen.get_mut(&old).and_then(Option::take);
            self.kept_bytes -= value.map_or(0, |value| value.len());
        }
        if self.order.len() > MAX_SEEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        Some(id)
    }

    /// Adds a posting that a neighbour has sent. `None` if the neighbour was not asked for it, or it is known already or too long.
    pub(super) fn receive(&mut self, now: Instant, from: PeerId, value: &[u8]) -> Option<PostingId> {
        let at = now.saturating_duration_since(self.epoch);
        let offerer = self.offerers.get_mut(&from).filter(|offerer| offerer.asked > 0)?;
        offerer.bytes.spend(at, BYTE_RATE, u32::try_from(value.len()).unwrap_or(u32::MAX));
        // A late answer counts as long as nobody else's has come.
        let offer = self.offers.get(&PostingId::of(value).key())?;
        offer.asked?;
        self.add(value)
    }

    /// A neighbour has announced a posting. Returns false if that is one too many, and is forgotten.
    pub(super) fn offered(&mut self, key: Key, peer: PeerId) -> bool {
        if self.seen.contains_key(&key) {
            return true;
        }
        let offer = self.offers.entry(key).or_default();
        if offer.offerers.contains(&peer) {
            return true;
        }
        if offer.offerers.len() >= MAX_OFFERERS {
            return false;
        }
        offer.offerers.push(peer);
        if offer.offerers.len() > 1 {
            return true;
        }
        let offerer = self.offerers.entry(peer).or_default();
        offerer.waiting.push_back(key);
        if offerer.waiting.len() <= MAX_WAITING {
            return true;
        }
        if let Some(oldest) = offerer.waiting.pop_front() {
            self.pass_on(&oldest, &peer);
        }
        false
    }

    /// The postings to ask for now, and whom.
    pub(super) fn asks(&mut self, now: Instant) -> Vec<(PeerId, Key)> {
        while let Some((since, peer, key)) = self.asked.front().copied() {
            if now.saturating_duration_since(since) < ANSWER_TIMEOUT {
                break;
            }
            self.asked.pop_front();
            if self
                .offers
                .get(&key)
                .is_some_and(|offer| offer.asked == Some(since) && offer.offerers.first() == Some(&peer))
            {
                self.unask(&peer);
                self.pass_on(&key, &peer);
            }
        }
        let at = now.saturating_duration_since(self.epoch);
        let mut asks = Vec::new();
        self.retry = None;
        for (peer, offerer) in &mut self.offerers {
            while offerer.asked < MAX_ASKED && !offerer.waiting.is_empty() {
                if !offerer.bytes.has(at, BYTE_RATE, 1) || !offerer.asks.take(at, ASK_RATE, 1) {
                    self.retry = Some(now + RATE_INTERVAL);
                    break;
                }
                let Some(key) = offerer.waiting.pop_front() else { break };
                let Some(offer) = self.offers.get_mut(&key) else { continue };
                offer.asked = Some(now);
                offerer.asked += 1;
                self.asked.push_back((now, *peer, key));
                asks.push((*peer, key));
            }
        }
        asks
    }

    /// When [`Self::asks`] is to be called, if nothing happens before.
    pub(super) fn due(&self) -> Option<Instant> {
        let answer = self.asked.front().map(|(since, ..)| *since + ANSWER_TIMEOUT);
        answer.into_iter().chain(self.retry).min()
    }

    /// A peer is no neighbour any more: others are asked for what it has offered.
    pub(super) fn forget_peer(&mut self, peer: &PeerId) {
        if self.offerers.remove(peer).is_none() {
            return;
        }
        let offered: Vec<Key> =
            self.offers.iter().filter(|(_, offer)| offer.offerers.contains(peer)).map(|(key, _)| *key).collect();
        for key in offered {
            self.pass_on(&key, peer);
        }
    }

    /// Does not expect a posting from a neighbour any more. If that was the one to ask, the next one is.
    fn pass_on(&mut self, key: &Key, peer: &PeerId) {
        let Some(offer) = self.offers.get_mut(key) else { return };
        let was_first = offer.offerers.first() == Some(peer);
        offer.offerers.retain(|offerer| offerer != peer);
        if !was_first {
            return;
        }
        offer.asked = None;
        while let Some(next) = offer.offerers.first().copied() {
            let offerer = self.offerers.entry(next).or_default();
            if offerer.waiting.len() < MAX_WAITING {
                return offerer.waiting.push_front(*key);
            }
            offer.offerers.remove(0);
        }
        self.offers.remove(key);
    }

    /// The posting is here.
    fn forget_offer(&mut self, key: &Key) {
        let Some(offer) = self.offers.remove(key) else { return };
        let Some(first) = offer.offerers.first() else { return };
        match offer.asked {
            Some(_) => self.unask(first),
            None => {
                if let Some(offerer) = self.offerers.get_mut(first) {
                    offerer.waiting.retain(|waiting| waiting != key);
                }
            }
        }
    }

    fn unask(&mut self, peer: &PeerId) {
        if let Some(offerer) = self.offerers.get_mut(peer) {
            offerer.asked = offerer.asked.saturating_sub(1);
        }
    }

    /// The value of a posting, if it is kept.
    pub(super) fn get(&self, key: &Key) -> Option<&[u8]> {
        self.seen.get(key)?.as_deref()
    }

    /// The keys of the newest postings that are kept, for a new neighbour.
    pub(super) fn kept(&self) -> impl Iterator<Item = Key> + '_ {
        self.kept.iter().rev().take(MAX_TOLD).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PeerId = PeerId([1; 32]);
    const B: PeerId = PeerId([2; 32]);

    fn value(number: u64) -> [u8; 8] {
        number.to_be_bytes()
    }

    fn key(number: u64) -> Key {
        PostingId::of(&value(number)).key()
    }

    #[test]
    fn each_posting_comes_once_and_a_bounded_number_is_kept() {
        let mut postings = Postings::new(Instant::now());
        let id = postings.add(b"one").unwrap();
        assert_eq!(postings.add(b"one"), None);
        assert_eq!(postings.get(&id.key()), Some(&b"one"[..]));
        assert_eq!(postings.add(&vec![0; MAX_POSTING + 1]), None);
        assert!(postings.add(&vec![0; MAX_POSTING]).is_some());
        for number in 0..MAX_SEEN as u64 + 10 {
            postings.add(&value(number)).unwrap();
        }
        assert_eq!(postings.get(&id.key()), None);
        assert_eq!((postings.seen.len(), postings.order.len()), (MAX_SEEN, MAX_SEEN));
        assert_eq!(postings.seen.values().flatten().count(), MAX_KEPT);
        assert_eq!(postings.kept_bytes, MAX_KEPT * 8);
        assert_eq!(postings.kept().filter(|key| postings.get(key).is_some()).count(), MAX_TOLD);
        // Long ones are fewer.
        for number in 0..200u8 {
            postings.add(&vec![number; MAX_POSTING]);
            assert!(postings.kept_bytes <= MAX_KEPT_BYTES);
        }
        assert_eq!(postings.kept.len(), MAX_KEPT_BYTES / MAX_POSTING);
    }

    #[test]
    fn one_neighbour_is_asked_at_a_time_and_the_next_one_if_it_does_not_answer() {
        let now = Instant::now();
        let mut postings = Postings::new(now);
        assert!(postings.offered(key(1), A) && postings.offered(key(1), B) && postings.offered(key(1), A));
        assert_eq!(postings.asks(now), [(A, key(1))]);
        assert_eq!(postings.asks(now), []);
        assert_eq!(postings.due(), Some(now + ANSWER_TIMEOUT));
        let later = now + ANSWER_TIMEOUT;
        assert_eq!(postings.asks(later), [(B, key(1))]);
        // B was not asked for that.
        assert_eq!(postings.receive(later, B, &value(2)), None);
        assert!(postings.receive(later, B, &value(1)).is_some());
        assert_eq!(postings.receive(later, B, &value(1)), None);
        assert!(postings.offers.is_empty() && postings.offerers.values().all(|offerer| offerer.asked == 0));
        assert_eq!((postings.asks(later + ANSWER_TIMEOUT), postings.due()), (Vec::new(), None));
    }

    #[test]
    fn what_was_not_asked_for_is_not_taken() {
        let now = Instant::now();
        let mut postings = Postings::new(now);
        assert_eq!(postings.receive(now, A, &value(1)), None);
        postings.offered(key(1), A);
        assert_eq!(postings.receive(now, A, &value(1)), None, "it waits for its turn");
        postings.asks(now);
        assert_eq!(postings.receive(now, B, &value(1)), None);
        assert!(postings.receive(now, A, &value(1)).is_some());
    }

    #[test]
    fn one_that_goes_is_replaced_by_the_others_that_have_offered_the_same() {
        let now = Instant::now();
        let mut postings = Postings::new(now);
        for number in 0..100 {
            postings.offered(key(number), A);
            postings.offered(key(number), B);
        }
        assert_eq!(postings.asks(now).len(), MAX_ASKED);
        postings.forget_peer(&A);
        let mut asked = 0;
        for _ in 0..10 {
            for (peer, key) in postings.asks(now) {
                assert_eq!(peer, B);
                let number = (0..100).find(|number| super::tests::key(*number) == key).unwrap();
                assert!(postings.receive(now, B, &value(number)).is_some());
                asked += 1;
            }
        }
        assert_eq!(asked, 100);
        postings.forget_peer(&B);
        assert!(postings.offers.is_empty() && postings.offerers.is_empty());
    }

    #[test]
    fn what_a_neighbour_offers_is_bounded_and_takes_nothing_from_the_others() {
        let now = Instant::now();
        let mut postings = Postings::new(now);
        let refused = (0..10_000).filter(|number| !postings.offered(key(*number), A)).count();
        assert_eq!(refused, 10_000 - MAX_WAITING);
        assert_eq!((postings.offers.len(), postings.offerers[&A].waiting.len()), (MAX_WAITING, MAX_WAITING));
        assert!(postings.offered(key(20_000), B));
        let asks = postings.asks(now);
        assert_eq!(asks.iter().filter(|(peer, _)| *peer == A).count(), MAX_ASKED);
        assert!(asks.contains(&(B, key(20_000))));
        // A never answers: what it has offered is given up in time.
        let mut later = now;
        for _ in 0..10 {
            later += ANSWER_TIMEOUT;
            postings.asks(later);
        }
        assert!(postings.offers.is_empty());
    }

    #[test]
    fn a_neighbour_is_asked_at_a_bounded_rate() {
        let start = Instant::now();
        let mut postings = Postings::new(start);
        let (mut taken, mut number) = (0, 0);
        // It answers at once, and always has more: ten seconds of it.
        for step in 0..100 {
            let now = start + RATE_INTERVAL * step;
            loop {
                for _ in 0..64 {
                    postings.offered(key(number), A);
                    number += 1;
                }
                let asks = postings.asks(now);
                if asks.is_empty() {
                    break;
                }
                for (_, asked) in asks {
                    let of = (0..number).rev().find(|number| key(*number) == asked).unwrap();
                    taken += usize::from(postings.receive(now, A, &value(of)).is_some());
                }
            }
            assert!(postings.due().is_some());
        }
        assert!((4900..=5600).contains(&taken), "{taken}");
        // Long ones use up the rate of bytes.
        let mut postings = Postings::new(start);
        let long = |number: u8| vec![number; MAX_POSTING];
        let mut bytes = 0;
        for number in 0..=255 {
            postings.offered(PostingId::of(&long(number)).key(), A);
            for _ in postings.asks(start) {
                bytes += postings.receive(start, A, &long(number)).map_or(0, |_| MAX_POSTING);
            }
        }
        assert!((4 << 20..=5 << 20).contains(&bytes), "{bytes}");
    }
}
