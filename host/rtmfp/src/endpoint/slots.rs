//! What stands behind session ids.

mod handover;

use std::collections::VecDeque;
use std::ops::Range;

use crate::session_id::{MAX_GENERATION, MAX_PREFIXES, MAX_SLOTS, PREFIX_SHIFT, SLOT_BITS, SessionId};

/// A slot is used again only when this many others are free: late packets of its last session find no session.
const MIN_FREE: usize = 256;

struct Slot<T> {
    /// From 1, so that no id is 0.
    generation: u8,
    /// Whether the occupant may have changed since [`Slots::changes`] was asked about it.
    is_changed: bool,
    occupant: Option<T>,
}

/// The table of slots.
pub(crate) struct Slots<T> {
    prefix: u32,
    max: usize,
    slots: Vec<Slot<T>>,
    /// Oldest first.
    free: VecDeque<u32>,
}

impl<T> Slots<T> {
    pub(crate) fn new(prefix: u8, max: usize) -> Self {
        let prefix = u32::from(prefix % MAX_PREFIXES) << PREFIX_SHIFT;
        Self { prefix, max: max.min(MAX_SLOTS), slots: Vec::new(), free: VecDeque::new() }
    }

    /// How many slots are occupied.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Occupies a slot; `None` when all are.
    pub(crate) fn insert(&mut self, occupant: T) -> Option<SessionId> {
        let can_grow = self.slots.len() < self.max;
        let reused = if self.free.len() >= MIN_FREE || !can_grow { self.free.pop_front() } else { None };
        let index = match reused {
            Some(index) => index,
            None if can_grow => {
                self.slots.push(Slot { generation: 0, is_changed: true, occupant: None });
                self.slots.len() as u32 - 1
            }
            None => return None,
        };
        let slot = self.slots.get_mut(index as usize)?;
        slot.generation = if slot.generation == MAX_GENERATION { 1 } else { slot.generation + 1 };
        (slot.occupant, slot.is_changed) = (Some(occupant), true);
        Some(SessionId(self.prefix | u32::from(slot.generation) << SLOT_BITS | index))
    }

    /// The id whose wire form is `id`, if it is in use here.
    pub(crate) fn id(&self, id: u32) -> Option<SessionId> {
        let id = SessionId(id);
        self.get(id).map(|_| id)
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<&T> {
        let slot = self.slots.get(id.slot())?;
        (slot.generation == id.generation() && id.0 >> PREFIX_SHIFT == self.prefix >> PREFIX_SHIFT)
            .then_some(slot.occupant.as_ref())?
    }

    pub(crate) fn get_mut(&mut self, id: SessionId) -> Option<&mut T> {
        let slot = self.slots.get_mut(id.slot())?;
        slot.is_changed = true;
        (slot.generation == id.generation() && id.0 >> PREFIX_SHIFT == self.prefix >> PREFIX_SHIFT)
            .then_some(slot.occupant.as_mut())?
    }

    /// Frees a slot.
    pub(crate) fn remove(&mut self, id: SessionId) -> Option<T> {
        self.get(id)?;
        let occupant = self.slots.get_mut(id.slot())?.occupant.take();
        if occupant.is_some() {
            self.free.push_back(id.slot() as u32);
        }
        occupant
    }

    /// Every id in use and what stands behind it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SessionId, &T)> {
        self.slots.iter().zip(0..).filter_map(|(slot, index)| {
            let id = SessionId(self.prefix | u32::from(slot.generation) << SLOT_BITS | index);
            slot.occupant.as_ref().map(|occupant| (id, occupant))
        })
    }

    /// How many places there are, free ones among them.
    pub(crate) fn places(&self) -> usize {
        self.slots.len()
    }

    /// As [`Self::iter`], for some of the places, and whether the occupant may have changed since this was asked the last time.
    pub(crate) fn changes(&mut self, places: Range<usize>) -> impl Iterator<Item = (SessionId, &T, bool)> {
        let (prefix, end) = (self.prefix, places.end.min(self.slots.len()));
        let begin = places.start.min(end);
        let some = self.slots.get_mut(begin..end).unwrap_or_default();
        some.iter_mut().zip(begin as u32..).filter_map(move |(slot, index)| {
            let id = SessionId(prefix | u32::from(slot.generation) << SLOT_BITS | index);
            let is_changed = std::mem::replace(&mut slot.is_changed, false);
            slot.occupant.as_ref().map(|occupant| (id, occupant, is_changed))
        })
    }

    /// As [`Self::iter`], to change what stands there.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (SessionId, &mut T)> {
        let prefix = self.prefix;
        self.slots.iter_mut().enumerate().filter_map(move |(index, slot)| {
            let id = SessionId(prefix | u32::from(slot.generation) << SLOT_BITS | index as u32);
            slot.is_changed = true;
            slot.occupant.as_mut().map(|occupant| (id, occupant))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_name_their_endpoint_and_are_not_reused_at_once() {
        let mut slots = Slots::new(5, 1000);
        let first = slots.insert('a').unwrap();
        assert_eq!((first.prefix(), slots.get(first)), (5, Some(&'a')));
        assert_eq!(slots.remove(first), Some('a'));
        assert_eq!(slots.remove(first), None);
        let second = slots.insert('b').unwrap();
        assert_ne!(first.slot(), second.slot());
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.id(second.get() ^ 1 << 31), None, "another endpoint's");
        assert_eq!(slots.id(0), None);
        assert_eq!(slots.len(), 1);
    }

    #[test]
    fn the_bound_holds_and_generations_differ() {
        let mut slots = Slots::new(0, 2);
        let (first, _) = (slots.insert(1).unwrap(), slots.insert(2).unwrap());
        assert_eq!(slots.insert(3), None);
        let mut last = first;
        for round in 0..40 {
            assert!(slots.remove(last).is_some());
            let next = slots.insert(round).unwrap();
            assert_ne!(next, last);
            assert_ne!(next.get(), 0);
            assert_eq!(slots.get(last), None);
            last = next;
        }
        assert_eq!(slots.iter().count(), 2);
    }

    #[test]
    fn occupants_that_may_have_changed_are_told_once() {
        let mut slots = Slots::new(0, 1000);
        let ids: Vec<_> = (0..4).map(|value| slots.insert(value).unwrap()).collect();
        let changed = |slots: &mut Slots<i32>, places| -> Vec<i32> {
            slots.changes(places).filter(|(.., is_changed)| *is_changed).map(|(_, value, _)| *value).collect()
        };
        assert_eq!(changed(&mut slots, 0..2), [0, 1]);
        assert_eq!(changed(&mut slots, 0..9), [2, 3]);
        assert_eq!(changed(&mut slots, 0..9), [0; 0]);
        *slots.get_mut(ids[2]).unwrap() += 10;
        slots.remove(ids[0]);
        assert_eq!(changed(&mut slots, 0..9), [12]);
        assert_eq!(slots.changes(0..9).count(), 3, "those that have not changed are there too");
        slots.iter_mut().for_each(|(_, value)| *value += 100);
        assert_eq!(changed(&mut slots, 1..3), [101, 112]);
        assert_eq!(changed(&mut slots, 7..9), [0; 0]);
    }

    #[test]
    fn a_slot_waits_for_256_others_to_be_free_before_it_is_used_again() {
        let mut slots = Slots::new(0, 1000);
        let ids: Vec<_> = (0..256).map(|value| slots.insert(value).unwrap()).collect();
        ids[..255].iter().for_each(|id| assert!(slots.remove(*id).is_some()));
        assert_eq!(slots.insert(0).unwrap().slot(), 256);
        assert!(slots.remove(ids[255]).is_some());
        let again = slots.insert(0).unwrap();
        assert_eq!((again.slot(), again.generation()), (ids[0].slot(), 2), "the one that has been free for longest");
        let named: Vec<_> = slots.iter().map(|(id, _)| id).collect();
        assert!(named.contains(&again) && named.iter().all(|id| slots.get(*id).is_some()));
        assert!(slots.iter_mut().map(|(id, _)| id).eq(named));
    }
}
