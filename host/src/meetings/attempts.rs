//! The attempts to meet that are under way at one worker.
//!
//! An attempt is all hellos of one asker with one tag for one target. They come to the same worker, because the kernel chooses the worker by the
//! address. An attempt that stays quiet for longer than the next repeat would take is settled.
//!
//! # Bounds
//!
//! Attempts of clients and of strangers, whose addresses are not proven, have tables of their own: forged hellos take no room of clients. A
//! table has a fixed number of places. Each network has room for 256 attempts among those of clients ([`SHARE`]), and shares each bucket of
//! them with others by chance: a network that fills its own blinds the table to one attempt in 64 of another network, and to no other. An attempt
//! without room is not followed, and counted as such ([`Followed::NoRoom`]); it is answered as every other. Each hello costs one bucket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_policy::InstanceName;
use rtmfp::{Lookup, PeerId};

use super::mixer::Mixer;
use super::nat_kind::NatKind;
use super::outcome::{LookupAnswer, Outcome};
use super::places::Places;

/// Hellos that come sooner after each other are copies of one, or answers to them were late: RFC 7016 §3.5.1.1.1 wants them 1.5 s apart, and
/// rtmfp-cpp sends the second after one second.
const MIN_GAP: Duration = Duration::from_millis(400);
/// An asker that goes on for longer than this after the introduction has not met the target at the first or second try.
const MET_WITHIN: Duration = Duration::from_secs(2);
/// An asker counts as not having met the target if it goes on for this long,
const GIVEN_UP_AFTER: Duration = Duration::from_secs(5);
/// and has repeated its hello so many times.
const GIVEN_UP_TIMES: u16 = 3;
/// An attempt is settled if it is quiet for twice the last gap between its hellos and for this time. The next gap is 1.5 s longer than the
/// last one (RFC 7016 §3.5.1.1.1), and one hello may get lost.
const QUIET: Duration = Duration::from_secs(5);
/// The gap before the second hello.
const FIRST_GAP: Duration = Duration::from_secs(1);
/// No attempt is waited for longer than this: at the end of the 95 s for which RFC 7016 asks, gaps are 17 s long.
const MAX_QUIET: Duration = Duration::from_secs(60);
/// The time between two looks at the attempts, if there are any.
const SWEEP_PERIOD: Duration = Duration::from_millis(250);
/// How many attempts of each table are looked at in one of these.
const SWEEP_STEP: usize = 1024;

const BUCKETS: usize = 2048;
const STRANGERS_BUCKETS: usize = 256;
/// How many buckets a network has in the table of clients.
const SHARE: u64 = 32;
const STRANGERS_SHARE: u64 = 8;

/// The maximum number of attempts of clients that a worker follows at a time: at most 4 MiB.
pub const MAX_ATTEMPTS: usize = Places::room(BUCKETS);
/// The maximum number of attempts of askers that are no clients.
pub const MAX_STRANGERS: usize = Places::room(STRANGERS_BUCKETS);

/// Who wants to meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The asker's peer id, if it is a client.
    pub asker: Option<PeerId>,
    /// The instance that the asker is a client of.
    pub application: Option<Arc<InstanceName>>,
    /// The asker's NAT.
    pub asker_nat: NatKind,
    /// The target's NAT.
    pub target_nat: NatKind,
}

impl Ends {
    /// Of ends about which nothing is known yet.
    const UNKNOWN: Self =
        Self { asker: None, application: None, asker_nat: NatKind::Unknown, target_nat: NatKind::Unknown };
}

/// An attempt of an asker to meet a target.
#[derive(Debug)]
pub struct Attempt {
    hash: u64,
    bucket: u32,
    /// How often the asker repeated its hello after the introduction, or if there was none, after the first answer.
    pub times: u16,
    /// The answer to its last hello that was answered; `None` while a policy has yet to decide about its first.
    pub answer: Option<LookupAnswer>,
    /// How many hellos there were, and when the last of them came. Copies do not count.
    hellos: u16,
    heard: Instant,
    is_counted: bool,
    /// Where the asker's hellos come from.
    pub address: SocketAddr,
    /// The peer that it looks for.
    pub target: Option<PeerId>,
    /// Who wants to meet.
    pub ends: Ends,
    /// When the first hello was answered with an introduction.
    introduced: Option<Instant>,
    /// When a hello was first answered with a relay: another way to meet, which takes its time as the first one did.
    relayed: Option<Instant>,
    last: Instant,
    gap: Duration,
}

impl Attempt {
    /// What came of the attempt if it is quiet from now on; `None` if that was counted before.
    fn outcome(&self) -> Option<Outcome> {
        if self.is_counted {
            return None;
        }
        let answer = self.answer?;
        if !answer.is_introduction() {
            return Some(Outcome::NotIntroduced(answer));
        }
        let tried = self.introduced.map_or(Duration::ZERO, |at| self.last.saturating_duration_since(at));
        Some(if tried <= MET_WITHIN { Outcome::Met } else { Outcome::Repeated })
    }

    fn has_given_up(&self) -> bool {
        let since = self.relayed.or(self.introduced);
        let tried = since.map_or(Duration::ZERO, |at| self.last.saturating_duration_since(at));
        self.answer.is_some_and(LookupAnswer::is_introduction)
            && self.times >= GIVEN_UP_TIMES
            && tried >= GIVEN_UP_AFTER
    }

    /// When the attempt counts as quiet.
    fn settles(&self) -> Instant {
        self.last + (2 * self.gap + QUIET).min(MAX_QUIET)
    }

    /// Counts a hello that has come, unless it is a copy of the last one. Returns the number of hellos.
    fn hear(&mut self, now: Instant) -> u16 {
        let gap = now.saturating_duration_since(self.heard);
        if gap >= MIN_GAP {
            self.hellos = self.hellos.saturating_add(1);
            self.heard = now;
            if self.answer.is_none() {
                // Nothing has been answered yet: the attempt goes on for as long as hellos come.
                (self.last, self.gap) = (now, gap.max(FIRST_GAP));
            }
        }
        self.hellos
    }
}

/// What a hello means for the attempt that it belongs to.
#[derive(Debug)]
pub enum Followed<'a> {
    /// It is the first one of the attempt.
    New(&'a Attempt),
    /// It repeats an earlier one.
    Repeated(&'a Attempt),
    /// It repeats an earlier one, and with that it is clear that the two have not met: the outcome is [`Outcome::GivenUp`].
    GivenUp(&'a Attempt),
    /// It came at the same time as another one.
    Copy,
    /// There is no room to follow the attempt.
    NoRoom,
}

/// The attempts of one table.
#[derive(Debug)]
struct Table {
    places: Places,
    attempts: Vec<Attempt>,
    /// Where the next sweep begins.
    cursor: usize,
}

/// The attempt that was asked for last.
#[derive(Clone, Copy, Debug)]
struct Last {
    hash: u64,
    is_client: bool,
    /// Its place in its table; `None` if there was no room for it.
    at: Option<usize>,
}

/// The attempts that are under way at one worker.
#[derive(Debug)]
pub struct Attempts {
    mixer: Mixer,
    clients: Table,
    strangers: Table,
    /// What was asked for last. A hello is answered at once as a rule, so its attempt is asked for again.
    last: Option<Last>,
    /// When to look at them next.
    sweep: Option<Instant>,
}

impl Default for Attempts {
    fn default() -> Self {
        let table = |buckets, share| Table { places: Places::new(buckets, share), attempts: Vec::new(), cursor: 0 };
        Self {
            mixer: Mixer::new(),
            clients: table(BUCKETS, SHARE),
            strangers: table(STRANGERS_BUCKETS, STRANGERS_SHARE),
            last: None,
            sweep: None,
        }
    }
}

impl Attempts {
    /// Notes a hello that has come, before it is answered, and returns its number among those of its attempt: 1 for the first one. It is 1
    /// as well if there is no room to follow the attempt.
    pub fn heard(&mut self, now: Instant, lookup: &Lookup, is_client: bool) -> u16 {
        match self.find_or_add(now, lookup, is_client) {
            Some(attempt) => attempt.hear(now),
            None => 1,
        }
    }

    /// Notes the answer to a hello. `ends` says who wants to meet; it is called for the first hello of an attempt, and for the first one that
    /// leads to an introduction.
    pub fn answered(
        &mut self,
        now: Instant,
        lookup: &Lookup,
        answer: LookupAnswer,
        is_client: bool,
        ends: impl FnOnce() -> Ends,
    ) -> Followed<'_> {
        let Some(attempt) = self.find_or_add(now, lookup, is_client) else { return Followed::NoRoom };
        if attempt.answer.is_some() {
            return attempt.again(now, answer, ends);
        }
        attempt.answer = Some(answer);
        attempt.ends = ends();
        attempt.introduced = answer.is_introduction().then_some(now);
        attempt.relayed = (answer == LookupAnswer::Relayed).then_some(now);
        (attempt.last, attempt.gap) = (now, FIRST_GAP);
        Followed::New(attempt)
    }

    /// The attempt that a hello belongs to, which begins if the hello is its first. `None` if there is no room for it.
    fn find_or_add(&mut self, now: Instant, lookup: &Lookup, is_client: bool) -> Option<&mut Attempt> {
        let target = lookup
            .target
            .map_or(0, |PeerId([a, b, c, d, e, f, g, h, ..])| u64::from_le_bytes([a, b, c, d, e, f, g, h]));
        let hash = self.mixer.attempt(lookup.initiator, &lookup.tag, target);
        let table = if is_client { &mut self.clients } else { &mut self.strangers };
        let is_it = |at: &usize| table.attempts.get(*at).is_some_and(|attempt| attempt.hash == hash);
        match self.last.filter(|last| last.hash == hash && last.is_client == is_client) {
            Some(Last { at: None, .. }) => return None,
            Some(Last { at: Some(at), .. }) if is_it(&at) => return table.attempts.get_mut(at),
            _ => (),
        }
        let bucket = table.places.bucket(self.mixer, lookup.initiator.ip(), hash);
        let known = table.places.candidates(bucket, hash).find(is_it);
        if let Some(at) = known {
            self.last = Some(Last { hash, is_client, at: Some(at) });
            return table.attempts.get_mut(at);
        }
        let at = table.attempts.len();
        let has_room = table.places.add(bucket, hash, at);
        self.last = Some(Last { hash, is_client, at: has_room.then_some(at) });
        if !has_room {
            return None;
        }
        self.sweep.get_or_insert(now + SWEEP_PERIOD);
        table.attempts.push(Attempt {
            hash,
            bucket,
            times: 0,
            answer: None,
            hellos: 1,
            heard: now,
            is_counted: false,
            address: lookup.initiator,
            target: lookup.target,
            ends: Ends::UNKNOWN,
            introduced: None,
            relayed: None,
            last: now,
            gap: FIRST_GAP,
        });
        table.attempts.last_mut()
    }

    /// How many attempts are followed.
    pub fn len(&self) -> usize {
        self.clients.attempts.len() + self.strangers.attempts.len()
    }

    /// Whether no attempt is followed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When [`Self::sweep`] is to be called next; `None` if no attempt is under way.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.sweep
    }

    /// Settles attempts that are quiet: `settled` is told of each, with its outcome unless that was counted before. A call looks at a bounded
    /// number of attempts; a full table takes some four seconds.
    pub fn sweep(&mut self, now: Instant, mut settled: impl FnMut(&Attempt, Option<Outcome>)) {
        if self.sweep.is_none_or(|at| now < at) {
            return;
        }
        // There may be room now where there was none.
        self.last = None;
        self.clients.sweep(now, &mut settled);
        self.strangers.sweep(now, &mut settled);
        self.sweep = (!self.is_empty()).then(|| now + SWEEP_PERIOD);
    }
}

impl Attempt {
    fn again(&mut self, now: Instant, answer: LookupAnswer, ends: impl FnOnce() -> Ends) -> Followed<'_> {
        if answer == LookupAnswer::Relayed {
            self.relayed.get_or_insert(now);
        }
        let gap = now.saturating_duration_since(self.last);
        let is_first_introduction = answer.is_introduction() && self.introduced.is_none();
        self.answer = Some(answer);
        if is_first_introduction {
            (self.introduced, self.ends, self.times) = (Some(now), ends(), 0);
        } else if gap < MIN_GAP {
            return Followed::Copy;
        } else {
            self.times = self.times.saturating_add(1);
        }
        (self.last, self.gap) = (now, gap.max(FIRST_GAP));
        if !self.is_counted && self.has_given_up() {
            self.is_counted = true;
            return Followed::GivenUp(self);
        }
        Followed::Repeated(self)
    }
}

impl Table {
    fn sweep(&mut self, now: Instant, settled: &mut impl FnMut(&Attempt, Option<Outcome>)) {
        for _ in 0..SWEEP_STEP.min(self.attempts.len()) {
            if self.cursor >= self.attempts.len() {
                self.cursor = 0;
            }
            let at = self.cursor;
            let Some(attempt) = self.attempts.get(at) else { break };
            if attempt.settles() > now {
                self.cursor += 1;
                continue;
            }
            let attempt = self.attempts.swap_remove(at);
            self.places.change(attempt.bucket, at, None);
            if let Some(moved) = self.attempts.get(at) {
                self.places.change(moved.bucket, self.attempts.len(), Some(at));
            }
            // Nothing is to be told of an attempt that was never answered: a policy has yet to decide, or the hello was dropped.
            if attempt.answer.is_some() {
                settled(&attempt, attempt.outcome());
            }
        }
        // After a wave of attempts the memory is given back.
        if self.attempts.capacity() > 4 * self.attempts.len().max(256) {
            self.attempts.shrink_to(2 * self.attempts.len());
        }
    }
}

#[cfg(test)]
mod tests;
