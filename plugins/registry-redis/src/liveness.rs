//! Which of the other servers live.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::entry::Epoch;
use crate::remote::RemoteEntry;

/// The servers that are cached. Entries in Redis can name more servers than exist, so that their number must be bounded.
const MAX_SERVERS: usize = 10_000;

/// For how long a server that an entry has named counts as likely to be named again.
const NAMED_FOR: Duration = Duration::from_secs(10);
/// The largest number of servers that are likely to be named again.
const MAX_LIKELY: usize = 64;

/// Which other servers live: when Redis was asked about each, and the epoch in which it lives; `None` if it is dead.
#[derive(Default)]
pub(crate) struct Servers {
    states: HashMap<Arc<[u8]>, (Instant, Option<Epoch>)>,
    /// The servers that entries have named lately, and when.
    named: HashMap<Arc<[u8]>, Instant>,
}

impl Servers {
    /// What a batch of lookups begins with: the servers that its entries are likely to name and whose state is not cached, and a copy of
    /// the cached states of those that it is likely to name. The former are asked about together with the peers, so that the batch needs
    /// no second round trip; and it needs none if Redis reports a change meanwhile, because the copy keeps what was known at its beginning.
    pub(crate) fn begin_batch(&mut self, now: Instant, max_age: Duration) -> (Vec<Arc<[u8]>>, Self) {
        self.named.retain(|_, named| now < *named + NAMED_FOR);
        let (mut unknown, mut known) = (Vec::new(), Self::default());
        for server in self.named.keys() {
            match self.states.get(server) {
                // Whether a server still is dead is asked each time.
                Some((asked, epoch @ Some(_))) if now < *asked + max_age => {
                    known.states.insert(Arc::clone(server), (*asked, *epoch));
                }
                _ => unknown.push(Arc::clone(server)),
            }
        }
        (unknown, known)
    }

    /// Entries have named their servers.
    pub(crate) fn named<'a>(&mut self, now: Instant, entries: impl Iterator<Item = &'a RemoteEntry>) {
        self.named_servers(now, entries.map(|entry| &entry.server));
    }

    /// Entries or members of groups have named these servers.
    pub(crate) fn named_servers<'a>(&mut self, now: Instant, servers: impl Iterator<Item = &'a Arc<[u8]>>) {
        for server in servers {
            if let Some(named) = self.named.get_mut(server) {
                *named = now;
            } else if self.named.len() < MAX_LIKELY {
                self.named.insert(Arc::clone(server), now);
            }
        }
    }

    /// Whether the server of an entry lives in its epoch, as far as is known, however long ago Redis was asked.
    pub(crate) fn lives(&self, entry: &RemoteEntry) -> bool {
        self.lives_in(&entry.server, entry.epoch)
    }

    /// Whether a server lives in that epoch, as far as is known, however long ago Redis was asked.
    pub(crate) fn lives_in(&self, server: &[u8], epoch: Epoch) -> bool {
        self.states.get(server).is_some_and(|(_, lives)| *lives == Some(epoch))
    }

    /// When Redis was asked about a server, and its epoch, if that is known.
    pub(crate) fn state(&self, server: &[u8]) -> Option<(Instant, Option<Epoch>)> {
        self.states.get(server).copied()
    }

    /// The first valid one of these entries. `None` if that is not known, because the state of one of the servers is not cached or was
    /// cached before the time `max_age`.
    pub(crate) fn first_valid<'a>(
        &self,
        now: Instant,
        entries: &'a [RemoteEntry],
        max_age: Duration,
    ) -> Option<Option<&'a RemoteEntry>> {
        for entry in entries {
            if self.is_valid(now, entry, max_age)? {
                return Some(Some(entry));
            }
        }
        Some(None)
    }

    /// Whether an entry is valid: its server lives in the epoch of the entry. `None` if that is not known.
    pub(crate) fn is_valid(&self, now: Instant, entry: &RemoteEntry, max_age: Duration) -> Option<bool> {
        let (asked, epoch) = self.states.get(&entry.server)?;
        (now < *asked + max_age).then_some(*epoch == Some(entry.epoch))
    }

    /// Redis was asked about a server at the time `asked`.
    pub(crate) fn insert(&mut self, asked: Instant, server: Arc<[u8]>, epoch: Option<Epoch>, max_age: Duration) {
        if self.states.len() >= MAX_SERVERS {
            self.states.retain(|_, (other, _)| asked < *other + max_age);
        }
        if self.states.len() < MAX_SERVERS || self.states.contains_key(&server) {
            self.states.insert(server, (asked, epoch));
        }
    }

    pub(crate) fn forget(&mut self, server: &[u8]) {
        self.states.remove(server);
    }

    pub(crate) fn forget_all(&mut self) {
        self.states.clear();
    }

    /// The servers of these entries that Redis must be asked about, each once.
    pub(crate) fn unknown<'a>(
        &self,
        now: Instant,
        entries: impl Iterator<Item = &'a RemoteEntry>,
        max_age: Duration,
    ) -> Vec<Arc<[u8]>> {
        let unknown = entries.filter(|entry| self.is_valid(now, entry, max_age).is_none());
        let mut seen = HashSet::new();
        unknown.map(|entry| Arc::clone(&entry.server)).filter(|server| seen.insert(Arc::clone(server))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::Claim;

    const TIME: Duration = Duration::from_secs(10);

    fn entry(server: &[u8], epoch: u8) -> RemoteEntry {
        let claim = Claim { is_proven: false, is_silent: false, since: 1 };
        RemoteEntry { server: server.into(), epoch: Epoch([epoch; 8]), claim, addresses: [].into() }
    }

    #[test]
    fn entries_count_while_their_server_lives_in_their_epoch() {
        let (mut servers, now) = (Servers::default(), Instant::now());
        assert_eq!(servers.is_valid(now, &entry(b"a", 1), TIME), None);
        servers.insert(now, b"a".as_slice().into(), Some(Epoch([1; 8])), TIME);
        assert_eq!(servers.is_valid(now, &entry(b"a", 1), TIME), Some(true));
        assert_eq!(servers.is_valid(now, &entry(b"a", 2), TIME), Some(false), "of an earlier start");
        assert_eq!(servers.is_valid(now + TIME, &entry(b"a", 1), TIME), None);
        servers.insert(now, b"a".as_slice().into(), None, TIME);
        assert_eq!(servers.is_valid(now, &entry(b"a", 1), TIME), Some(false));
        let (a, b) = (entry(b"a", 1), entry(b"b", 1));
        let both = [a.clone(), b.clone()];
        assert!(
            servers.first_valid(now, &both, TIME).is_none(),
            "nothing is known of the second, and the first is dead"
        );
        servers.insert(now, b"b".as_slice().into(), Some(Epoch([1; 8])), TIME);
        assert!(servers.first_valid(now, &both, TIME).flatten().is_some_and(|entry| entry.server == b.server));
        assert!(matches!(servers.first_valid(now, &both[..1], TIME), Some(None)), "it is nowhere");
        servers.forget(b"b");
        let unknown = servers.unknown(now, [&a, &b, &b].into_iter(), TIME);
        assert_eq!(unknown, [Arc::from(b"b".as_slice())]);
    }

    #[test]
    fn servers_that_were_named_lately_are_asked_about_together_with_the_next_lookups() {
        let (mut servers, now) = (Servers::default(), Instant::now());
        let (a, b) = (entry(b"a", 1), entry(b"b", 1));
        let names = |servers: &mut Servers, after: Duration| {
            let mut names: Vec<u8> =
                servers.begin_batch(now + after, TIME / 4).0.iter().map(|name| *name.first().unwrap()).collect();
            names.sort_unstable();
            String::from_utf8(names).unwrap()
        };
        assert_eq!(names(&mut servers, Duration::ZERO), "");
        servers.named(now, [&a, &b].into_iter());
        assert_eq!(names(&mut servers, Duration::ZERO), "ab");
        servers.insert(now, b"a".as_slice().into(), Some(Epoch([1; 8])), TIME / 4);
        assert_eq!(names(&mut servers, Duration::ZERO), "b", "the state of the other is cached");
        assert_eq!(names(&mut servers, TIME / 4), "ab", "it is not cached any more");
        // A change that is reported while Redis is asked needs no second round trip.
        let (_, known) = servers.begin_batch(now, TIME / 4);
        servers.forget(b"a");
        assert_eq!((servers.state(b"a"), known.is_valid(now, &a, TIME / 4)), (None, Some(true)));
        assert_eq!(known.is_valid(now, &b, TIME / 4), None);
        servers.named(now + TIME / 2, [&a].into_iter());
        assert_eq!(names(&mut servers, NAMED_FOR), "a", "the other was not named for long");
        for number in 0..2 * MAX_LIKELY {
            servers.named(now + TIME, [&entry(&number.to_be_bytes(), 1)].into_iter());
        }
        assert_eq!(servers.begin_batch(now + TIME, TIME).0.len(), MAX_LIKELY);
    }

    #[test]
    fn servers_that_entries_name_are_bounded_and_the_outdated_ones_make_room() {
        let (mut servers, now) = (Servers::default(), Instant::now());
        let name = |number: usize| Arc::from(number.to_be_bytes().as_slice());
        for number in 0..MAX_SERVERS {
            servers.insert(now + TIME / 2, name(number), None, TIME);
        }
        servers.insert(now + TIME, name(MAX_SERVERS), None, TIME);
        assert_eq!(servers.states.len(), MAX_SERVERS, "there is no room for another");
        // One that is known is brought up to date.
        servers.insert(now + TIME, name(7), Some(Epoch([1; 8])), TIME);
        let known = RemoteEntry { server: name(7), ..entry(b"", 1) };
        assert_eq!(servers.is_valid(now + TIME, &known, TIME), Some(true));
        servers.insert(now + TIME * 3 / 2, name(MAX_SERVERS), None, TIME);
        assert_eq!(servers.states.len(), 2, "the others are outdated");
        servers.forget_all();
        assert!(servers.states.is_empty());
    }
}
