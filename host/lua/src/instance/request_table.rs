//! Requests by number.

use std::collections::HashMap;

use super::number_hasher::NumberHashing;

/// Requests stay in their slots while they are open: they are large, and a hash table would move them.
pub(super) struct Table<R> {
    slots: Vec<Option<Open<R>>>,
    by_number: HashMap<u64, usize, NumberHashing>,
    free: Vec<usize>,
    /// How many requests have arrived so far.
    pub(super) arrived: u64,
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self { slots: Vec::new(), by_number: HashMap::default(), free: Vec::new(), arrived: 0 }
    }
}

impl<R> Table<R> {
    pub(super) fn insert(&mut self, open: Open<R>) {
        let number = open.number;
        let slot = self.free.pop().unwrap_or(self.slots.len());
        match self.slots.get_mut(slot) {
            Some(free) => *free = Some(open),
            None => self.slots.push(Some(open)),
        }
        if let Some(before) = self.by_number.insert(number, slot)
            && let Some(place) = self.slots.get_mut(before)
        {
            *place = None;
            self.free.push(before);
        }
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Open<R>> {
        self.slots.get_mut(*self.by_number.get(&number)?)?.as_mut()
    }

    /// Gives up the slot of a request, in which the request still is.
    pub(super) fn remove(&mut self, number: u64) -> Option<&mut Option<Open<R>>> {
        let slot = self.by_number.remove(&number)?;
        self.free.push(slot);
        self.slots.get_mut(slot)
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
        self.free.clear();
        self.slots.drain(..).flatten().collect()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Open<R>> {
        self.slots.iter().flatten()
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
    fn a_request_keeps_its_slot_until_it_is_taken_out_and_others_get_it_then() {
        let mut table = Table::default();
        (1..=3).for_each(|number| table.insert(open(number)));
        assert!(table.remove(2).is_some_and(|slot| slot.take().is_some_and(|open| open.request == 20)));
        assert!(table.remove(2).is_none() && table.get_mut(2).is_none() && !table.contains(2));
        table.insert(open(4));
        // One of the same number takes the place of the other.
        table.insert(open(4));
        table.insert(open(5));
        assert_eq!((table.len(), table.slots.len(), table.free.len()), (4, 4, 0));
        let mut all: Vec<u64> = table.all().map(|open| open.request).collect();
        all.sort_unstable();
        assert_eq!(all, [10, 30, 40, 50]);
        assert_eq!((table.take_all().len(), table.len(), table.all().count()), (4, 0, 0));
        table.insert(open(6));
        assert!(table.get_mut(6).is_some_and(|open| open.request == 60));
    }
}
