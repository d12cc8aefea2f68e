//! Which of the other servers live.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::entry::Epoch;
use crate::remote::RemoteEntry;

/// The servers that are cached. Entries in Redis can name more servers than exist, so that their number must be bounded.
const MAX_SERVERS: usize = 10_000;

/// Which other servers live: when Redis was asked about each, and the epoch in which it lives; `None` if it is dead.
#[derive(Default)]
pub(crate) struct Servers(HashMap<Arc<[u8]>, (Instant, Option<Epoch>)>);

impl Servers {
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
        let (asked, epoch) = self.0.get(&entry.server)?;
        (now < *asked + max_age).then_some(*epoch == Some(entry.epoch))
    }

    /// Redis was asked about a server at the time `asked`.
    pub(crate) fn insert(&mut self, asked: Instant, server: Arc<[u8]>, epoch: Option<Epoch>, max_age: Duration) {
        if self.0.len() >= MAX_SERVERS {
            self.0.retain(|_, (other, _)| asked < *other + max_age);
        }
        if self.0.len() < MAX_SERVERS || self.0.contains_key(&server) {
            self.0.insert(server, (asked, epoch));
        }
    }

    pub(crate) fn forget(&mut self, server: &[u8]) {
        self.0.remove(server);
    }

    pub(crate) fn forget_all(&mut self) {
        self.0.clear();
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
    fn servers_that_entries_name_are_bounded_and_the_outdated_ones_make_room() {
        let (mut servers, now) = (Servers::default(), Instant::now());
        let name = |number: usize| Arc::from(number.to_be_bytes().as_slice());
        for number in 0..MAX_SERVERS {
            servers.insert(now + TIME / 2, name(number), None, TIME);
        }
        servers.insert(now + TIME, name(MAX_SERVERS), None, TIME);
        assert_eq!(servers.0.len(), MAX_SERVERS, "there is no room for another");
        // One that is known is brought up to date.
        servers.insert(now + TIME, name(7), Some(Epoch([1; 8])), TIME);
        let known = RemoteEntry { server: name(7), ..entry(b"", 1) };
        assert_eq!(servers.is_valid(now + TIME, &known, TIME), Some(true));
        servers.insert(now + TIME * 3 / 2, name(MAX_SERVERS), None, TIME);
        assert_eq!(servers.0.len(), 2, "the others are outdated");
        servers.forget_all();
        assert!(servers.0.is_empty());
    }
}
