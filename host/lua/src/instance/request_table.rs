//! Requests by number.

use std::collections::HashMap;

use slab::Slab;

use super::number_hasher::NumberHashing;

/// Requests stay in their places while they are open: they are large, and a hash table would move them.
pub(super) struct Table<R> {
    open: Slab<Open<R>>,
    by_number: HashMap<u64, usize, NumberHashing>,
    /// How many requests have arrived so far.
    pub(super) arrived: u64,
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self { open: Slab::new(), by_number: HashMap::default(), arrived: 0 }
    }
}

impl<R> Table<R> {
    /// Takes a request in. One of the same number goes.
    pub(super) fn insert(&mut self, open: Open<R>) {
        let number = open.number;
        let place = self.open.insert(open);
        if let Some(before) = self.by_number.insert(number, place) {
            self.open.try_remove(before);
        }
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Open<R>> {
        self.open.get_mut(*self.by_number.get(&number)?)
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Open<R>> {
        let place = self.by_number.remove(&number)?;
        self.open.try_remove(place)
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        self.by_number.contains_key(&number)
    }

    pub(super) fn len(&self) -> usize {
        self.by_number.len()
    }

    /// Takes everything out.
    pub(super) fn take_all(&mut self) -> Vec<Open<R>> {
        self.by_number.clear();
        self.open.drain().collect()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Open<R>> {
        self.open.iter().map(|(_, open)| open)
    }
}

/// A request that is open.
pub(super) struct Open<R> {
    pub(super) number: u64,
    /// How many requests arrived before this one.
    pub(super) order: u64,
    pub(super) request: R,
    /// Whether the script has been told of it.
    pub(super) is_begun: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(number: u64) -> Open<u64> {
        Open { number, order: number, request: 10 * number, is_begun: false }
    }

    #[test]
    fn a_request_that_is_taken_out_leaves_its_place_to_another() {
        let mut table = Table::default();
        (1..=3).for_each(|number| table.insert(open(number)));
        assert!(table.remove(2).is_some_and(|open| open.request == 20));
        assert!(table.remove(2).is_none() && table.get_mut(2).is_none() && !table.contains(2));
        table.insert(open(4));
        // One of the same number takes the place of the other.
        table.insert(open(4));
        table.insert(open(5));
        assert_eq!((table.len(), table.open.len(), table.open.vacant_key()), (4, 4, 4));
        let mut all: Vec<u64> = table.all().map(|open| open.request).collect();
        all.sort_unstable();
        assert_eq!(all, [10, 30, 40, 50]);
        assert_eq!((table.take_all().len(), table.len(), table.all().count()), (4, 0, 0));
        table.insert(open(6));
        assert!(table.get_mut(6).is_some_and(|open| open.request == 60));
    }
}
