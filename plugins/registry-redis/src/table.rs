//! What this server publishes, and the writes to Redis that are due for it. Peers and memberships are kept in such tables.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// How many keys may be in the queue although they have been removed, besides as many as there are keys.
const MAX_STALE: usize = 1024;

/// Values under keys, each of which Redis is to hold as long as it is in the table.
pub(crate) struct Table<K, V> {
    items: HashMap<K, Item<V>>,
    unwritten: VecDeque<K>,
    /// The deletions of the latest batch: Redis may not have heard of them yet.
    deleting: Vec<K>,
    heritage: Heritage,
    len: usize,
    /// All keys of `items`. They are verified from the last to the first. If one is removed, the last one takes its place, so that one
    /// may be verified twice, but none is left out.
    order: Vec<K>,
    /// How many keys of the order are still to be verified.
    unverified: usize,
}

/// Whether Redis may have what another process has written as this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heritage {
    /// There is no other process.
    None,
    /// It still serves: Redis may have each key that comes.
    OfOther,
    /// It does not any more: what comes is most likely new, but what goes may be its own, unless this process has written it.
    Own,
}

/// How many unknown keys at most are to be deleted because another process may have written them.
const MAX_UNKNOWN: usize = 65_536;

struct Item<V> {
    /// `None`: it was removed, and Redis is to delete it.
    value: Option<V>,
    is_written: bool,
    /// Whether Redis may have it.
    may_exist: bool,
    /// The place in the order.
    place: usize,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self {
            items: HashMap::new(),
            unwritten: VecDeque::new(),
            deleting: Vec::new(),
            heritage: Heritage::None,
            len: 0,
            order: Vec::new(),
            unverified: 0,
        }
    }
}

impl<K: Copy + Eq + Hash, V> Table<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.items.get(key)?.value.as_ref()
    }

    /// The value under a key. After a change, call [`Self::schedule`].
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.items.get_mut(key)?.value.as_mut()
    }

    /// All values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.items.iter().filter_map(|(key, item)| Some((key, item.value.as_ref()?)))
    }

    /// Sets a value, and schedules its write.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.put(key, value, self.heritage == Heritage::OfOther);
    }

    /// As [`Self::insert`], of a key that another process has written as this server.
    pub(crate) fn insert_inherited(&mut self, key: K, value: V) {
        self.put(key, value, true);
    }

    fn put(&mut self, key: K, value: V, may_exist: bool) {
        if self.item(key, may_exist).value.replace(value).is_none() {
            self.len += 1;
        }
        self.schedule(key);
    }

    /// Removes a value, and schedules the deletion in Redis. If Redis has never heard of it, nothing is due: however many come and go
    /// during an outage, nothing is left of them.
    pub(crate) fn remove(&mut self, key: K) {
        let Some(item) = self.items.get_mut(&key) else {
            if self.heritage != Heritage::None && self.unwritten.len() < MAX_UNKNOWN {
                self.failed(key, true);
            }
            return;
        };
        if item.value.take().is_some() {
            self.len -= 1;
            // The other process may have written it, although this one has not yet.
            let may_be_inherited = self.heritage == Heritage::Own && self.unwritten.len() < MAX_UNKNOWN;
            if item.may_exist || may_be_inherited {
                self.schedule(key);
            } else {
                self.forget(&key);
            }
        }
    }

    /// Another process serves as this server, whose place this one is to take.
    pub(crate) fn begin_as_heir(&mut self) {
        self.heritage = Heritage::OfOther;
    }

    /// This process has taken the place of the other one.
    pub(crate) fn inherit(&mut self) {
        if self.heritage == Heritage::OfOther {
            self.heritage = Heritage::Own;
        }
    }

    /// Schedules the write of a key.
    pub(crate) fn schedule(&mut self, key: K) {
        if let Some(item) = self.items.get_mut(&key)
            && std::mem::replace(&mut item.is_written, false)
        {
            self.unwritten.push_back(key);
        }
    }

    /// The item of a key; one that is added has no value.
    fn item(&mut self, key: K, may_exist: bool) -> &mut Item<V> {
        self.items.entry(key).or_insert_with(|| {
            self.order.push(key);
            Item { value: None, is_written: true, may_exist, place: self.order.len() - 1 }
        })
    }

    fn forget(&mut self, key: &K) {
        let Some(forgotten) = self.items.remove(key) else { return };
        self.order.swap_remove(forgotten.place);
        if let Some(moved) = self.order.get(forgotten.place).and_then(|moved| self.items.get_mut(moved)) {
            moved.place = forgotten.place;
        }
        self.unverified = self.unverified.min(self.order.len());
        // Removed keys that are still in the queue.
        if self.unwritten.len() > 2 * self.items.len() + MAX_STALE {
            self.unwritten.retain(|key| self.items.get(key).is_some_and(|item| !item.is_written));
        }
    }

    /// The next keys that are to be verified in Redis, `max` at most. After the last one it begins again. Keys that are to be written
    /// anyway are left out.
    pub(crate) fn next_to_verify(&mut self, max: usize) -> Vec<K> {
        if self.unverified == 0 {
            self.unverified = self.order.len();
        }
        let end = self.unverified;
        self.unverified = end.saturating_sub(max);
        let is_due = |key: &&K| self.items.get(*key).is_some_and(|item| item.is_written && item.value.is_some());
        self.order[self.unverified..end].iter().filter(is_due).copied().collect()
    }

    /// Redis has lost what is under a key. Returns whether it is to be written again.
    pub(crate) fn lost(&mut self, key: K) -> bool {
        let is_due = self.items.get(&key).is_some_and(|item| item.is_written && item.value.is_some());
        if is_due {
            self.schedule(key);
        }
        is_due
    }

    /// Another batch of writes begins: the earlier one has been answered, or its writes have failed.
    pub(crate) fn begin_batch(&mut self) {
        self.deleting.clear();
    }

    /// The deletions that are due, and those of the latest batch.
    pub(crate) fn deletions(&self) -> Vec<K> {
        let due = self.items.iter().filter(|(_, item)| item.value.is_none() && !item.is_written);
        due.map(|(key, _)| *key).chain(self.deleting.iter().copied()).collect()
    }

    /// Takes the next writes that are due, `max` at most. `write` makes a write of a key, its value, and whether it is the first write;
    /// without a value it is a deletion.
    pub(crate) fn take<W>(&mut self, max: usize, mut write: impl FnMut(K, Option<&V>, bool) -> W) -> Vec<W> {
        let mut writes = Vec::new();
        while writes.len() < max
            && let Some(key) = self.unwritten.pop_front()
        {
            writes.extend(self.take_one(key, &mut write));
        }
        writes
    }

    /// Takes the write of a key, if it is due.
    pub(crate) fn take_one<W>(&mut self, key: K, write: impl FnOnce(K, Option<&V>, bool) -> W) -> Option<W> {
        let item = self.items.get_mut(&key).filter(|item| !item.is_written)?;
        item.is_written = true;
        let is_first = item.value.is_some() && !std::mem::replace(&mut item.may_exist, true);
        let write = write(key, item.value.as_ref(), is_first);
        if item.value.is_none() {
            self.forget(&key);
            self.deleting.push(key);
        }
        Some(write)
    }

    /// A write has failed, or may have: schedules it again, unless a newer one is due.
    pub(crate) fn failed(&mut self, key: K, is_deletion: bool) {
        if is_deletion {
            self.item(key, true).may_exist = true;
        }
        self.schedule(key);
    }

    /// Redis has refused a write, so that it has changed nothing: schedules it again, unless a newer one is due.
    pub(crate) fn refused(&mut self, key: K, is_deletion: bool, is_first: bool) {
        if is_first && let Some(item) = self.items.get_mut(&key) {
            item.may_exist = false;
            if item.value.is_none() {
                self.forget(&key);
                return;
            }
        }
        self.failed(key, is_deletion);
    }

    /// Schedules the writes of all keys again.
    pub(crate) fn renew_all(&mut self) {
        for (key, item) in &mut self.items {
            if std::mem::replace(&mut item.is_written, false) {
                self.unwritten.push_back(*key);
            }
        }
    }

    /// Removes all values.
    pub(crate) fn remove_all(&mut self) {
        self.order.clone().into_iter().for_each(|key| self.remove(key));
    }

    /// The number of values.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The number of writes that are due, and perhaps of some that are due no more.
    pub(crate) fn unwritten(&self) -> usize {
        self.unwritten.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Written = (u32, Option<char>, bool);

    fn take(table: &mut Table<u32, char>, max: usize) -> Vec<Written> {
        table.take(max, |key, value, is_first| (key, value.copied(), is_first))
    }

    #[test]
    fn what_another_process_has_written_is_deleted_when_it_goes_whether_it_was_written_here_or_not() {
        let mut table = Table::default();
        table.begin_as_heir();
        table.insert(1, 'a');
        table.insert(2, 'b');
        table.remove(1);
        table.remove(3);
        assert_eq!(take(&mut table, 9), [(1, None, false), (2, Some('b'), false), (3, None, false)]);
        table.inherit();
        table.insert(4, 'd');
        table.remove(4);
        table.remove(5);
        assert_eq!(take(&mut table, 9), [(4, None, false), (5, None, false)]);
        table.insert(6, 'f');
        table.insert_inherited(7, 'g');
        assert_eq!(take(&mut table, 9), [(6, Some('f'), true), (7, Some('g'), false)], "a new one is likely to be new");
        let mut table = Table::<u32, char>::default();
        table.remove(1);
        assert_eq!(take(&mut table, 9), []);
    }

    #[test]
    fn of_what_comes_and_goes_after_a_takeover_while_nothing_is_written_little_is_left() {
        let mut table = Table::default();
        table.begin_as_heir();
        table.inherit();
        for key in 0..200_000 {
            table.insert(key, 'b');
            table.remove(key);
        }
        assert!(table.items.len() <= MAX_UNKNOWN && table.unwritten() <= 3 * MAX_UNKNOWN + MAX_STALE);
    }

    #[test]
    fn of_what_comes_and_goes_while_nothing_is_written_nothing_is_left() {
        let mut table = Table::default();
        table.insert(7, 'a');
        for key in 100..100_000 {
            table.insert(key, 'b');
            table.remove(key);
        }
        assert!(table.unwritten() <= MAX_STALE + 4, "{}", table.unwritten());
        assert_eq!((table.items.len(), table.order.len(), table.len()), (1, 1, 1));
        assert_eq!(take(&mut table, 10), [(7, Some('a'), true)]);
        // What has left and come again is written once.
        for value in ['x', 'y', 'z'] {
            table.remove(8);
            table.insert(8, value);
        }
        assert_eq!(take(&mut table, 10), [(8, Some('z'), true)]);
        table.remove(8);
        assert_eq!(take(&mut table, 10), [(8, None, false)]);
    }

    #[test]
    fn one_write_can_be_taken_before_the_others() {
        let mut table = Table::default();
        for key in 0..3 {
            table.insert(key, 'a');
        }
        let one = |table: &mut Table<u32, char>, key| {
            table.take_one(key, |key, value, is_first| (key, value.copied(), is_first))
        };
        assert_eq!(one(&mut table, 2), Some((2, Some('a'), true)));
        assert_eq!((one(&mut table, 2), one(&mut table, 9)), (None, None));
        assert_eq!(take(&mut table, 10), [(0, Some('a'), true), (1, Some('a'), true)]);
    }

    #[test]
    fn a_write_that_redis_refuses_has_left_nothing_there() {
        let mut table = Table::default();
        table.insert(1, 'a');
        assert_eq!(take(&mut table, 10), [(1, Some('a'), true)]);
        table.refused(1, false, true);
        assert_eq!(take(&mut table, 10), [(1, Some('a'), true)], "it is the first one still");
        // It is removed while the write is on its way.
        table.remove(1);
        table.refused(1, false, true);
        assert_eq!((take(&mut table, 10), table.items.len()), (vec![], 0));
        // What was there before the refusal is deleted.
        table.insert(1, 'a');
        take(&mut table, 10);
        table.remove(1);
        assert_eq!(take(&mut table, 10), [(1, None, false)]);
        table.refused(1, true, false);
        assert_eq!(take(&mut table, 10), [(1, None, false)]);
    }

    #[test]
    fn a_write_that_may_have_failed_is_repeated_unless_there_is_a_newer_one() {
        let mut table = Table::default();
        table.insert(1, 'a');
        take(&mut table, 10);
        table.insert(1, 'b');
        table.failed(1, false);
        assert_eq!(take(&mut table, 10), [(1, Some('b'), false)]);
        table.remove(1);
        take(&mut table, 10);
        table.failed(1, true);
        table.insert(1, 'c');
        assert_eq!(take(&mut table, 10), [(1, Some('c'), false)]);
        table.renew_all();
        table.remove_all();
        assert_eq!((take(&mut table, 10), table.len()), (vec![(1, None, false)], 0));
    }

    #[test]
    fn each_key_is_verified_once_in_each_round_whatever_comes_and_goes() {
        let mut table = Table::default();
        assert_eq!(table.next_to_verify(3), []);
        (0..10).for_each(|key| table.insert(key, 'a'));
        assert_eq!(table.next_to_verify(20), [], "they are to be written anyway");
        take(&mut table, 20);
        let mut round = table.next_to_verify(4);
        assert_eq!(round, [6, 7, 8, 9]);
        // One that was verified leaves, one that was not does, and one comes.
        table.remove(8);
        table.remove(2);
        assert_eq!(take(&mut table, 20).len(), 2);
        table.insert(99, 'a');
        for _ in 0..2 {
            round.extend(table.next_to_verify(4));
        }
        assert!([0, 1, 3, 4, 5, 6, 7, 9].iter().all(|key| round.contains(key)), "{round:?}");
        assert!(round.len() <= 12, "{round:?}");
        // What Redis has lost is written again, but not what has left meanwhile, and not twice.
        assert!(table.lost(0) && !table.lost(0) && !table.lost(2));
        let lost: Vec<u32> = take(&mut table, 20).into_iter().map(|(key, ..)| key).filter(|key| *key != 99).collect();
        assert_eq!(lost, [0]);
    }
}
