//! What stands behind session ids.

mod handover;

use std::collections::VecDeque;
use std::ops::Range;

use crate::session_id::{MAX_GENERATION, MAX_PREFIXES, MAX_SLOTS, PREFIX_SHIFT, SLOT_BITS, SessionId};

/// A slot is used again only when this many others are free: late packets of its last session find no session.
const MIN_FREE: usize = 256;

/// What is known of a slot besides its occupant, in one byte.
#[derive(Clone, Copy)]
struct Mark(u8);

impl Mark {
    /// Set if the occupant may have changed since [`Slots::changes`] was asked about it.
    const CHANGED: u8 = 1 << 7;

    /// A slot whose occupant may have changed.
    fn new(generation: u8) -> Self {
        Self(generation | Self::CHANGED)
    }

    /// From 1 once there was an occupant, so that no id is 0.
    fn generation(self) -> u8 {
        self.0 & MAX_GENERATION
    }

    fn change(&mut self) {
        self.0 |= Self::CHANGED;
    }

    /// Whether the occupant may have changed since this was asked last.
    fn take_change(&mut self) -> bool {
        let is_changed = self.0 & Self::CHANGED != 0;
        self.0 &= !Self::CHANGED;
        is_changed
    }
}

/// The table of slots. A slot takes nine bytes: there may be many more of them than sessions, after a storm or while the table grows.
pub(crate) struct Slots<T> {
    prefix: u32,
    max: usize,
    occupants: Vec<Option<Box<T>>>,
    /// As many as there are `occupants`.
    marks: Vec<Mark>,
    /// Oldest first.
    free: VecDeque<u32>,
}

impl<T> Slots<T> {
    pub(crate) fn new(prefix: u8, max: usize) -> Self {
        let prefix = u32::from(prefix % MAX_PREFIXES) << PREFIX_SHIFT;
        Self { prefix, max: max.min(MAX_SLOTS), occupants: Vec::new(), marks: Vec::new(), free: VecDeque::new() }
    }

    /// How many slots are occupied.
    pub(crate) fn len(&self) -> usize {
        self.occupants.len() - self.free.len()
    }

    /// Occupies a slot; `None` when all are.
    pub(crate) fn insert(&mut self, occupant: T) -> Option<SessionId> {
        let can_grow = self.occupants.len() < self.max;
        let reused = if self.free.len() >= MIN_FREE || !can_grow { self.free.pop_front() } else { None };
        let index = match reused {
            Some(index) => index,
            None if can_grow => {
                self.occupants.push(None);
                self.marks.push(Mark::new(0));
                self.occupants.len() as u32 - 1
            }
            None => return None,
        };
        let (slot, mark) = self.occupants.get_mut(index as usize).zip(self.marks.get_mut(index as usize))?;
        let last = mark.generation();
        let generation = if last == MAX_GENERATION { 1 } else { last + 1 };
        (*slot, *mark) = (Some(Box::new(occupant)), Mark::new(generation));
        Some(id_of(self.prefix, index, *mark))
    }

    /// The id whose wire form is `id`, if it is in use here.
    pub(crate) fn id(&self, id: u32) -> Option<SessionId> {
        let id = SessionId(id);
        self.get(id).map(|_| id)
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<&T> {
        let (occupant, mark) = (self.occupants.get(id.slot())?, self.marks.get(id.slot())?);
        if id_of(self.prefix, id.slot() as u32, *mark) == id { occupant.as_deref() } else { None }
    }

    pub(crate) fn get_mut(&mut self, id: SessionId) -> Option<&mut T> {
        let (occupant, mark) = (self.occupants.get_mut(id.slot())?, self.marks.get_mut(id.slot())?);
        mark.change();
        if id_of(self.prefix, id.slot() as u32, *mark) == id { occupant.as_deref_mut() } else { None }
    }

    /// Frees a slot.
    pub(crate) fn remove(&mut self, id: SessionId) -> Option<T> {
        self.get(id)?;
        let occupant = self.occupants.get_mut(id.slot())?.take();
        if occupant.is_some() {
            self.free.push_back(id.slot() as u32);
        }
        occupant.map(|occupant| *occupant)
    }

    /// Every id in use and what stands behind it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SessionId, &T)> {
        self.occupants.iter().zip(&self.marks).zip(0..).filter_map(|((occupant, mark), index)| {
            occupant.as_deref().map(|occupant| (id_of(self.prefix, index, *mark), occupant))
        })
    }

    /// How many places there are, free ones among them.
    pub(crate) fn places(&self) -> usize {
        self.occupants.len()
    }

    /// As [`Self::iter`], for some of the places, and whether the occupant may have changed since this was asked the last time.
    pub(crate) fn changes(&mut self, places: Range<usize>) -> impl Iterator<Item = (SessionId, &T, bool)> {
        let (prefix, end) = (self.prefix, places.end.min(self.occupants.len()));
        let begin = places.start.min(end);
        let occupants = self.occupants.get(begin..end).unwrap_or_default();
        let marks = self.marks.get_mut(begin..end).unwrap_or_default();
        occupants.iter().zip(marks).zip(begin as u32..).filter_map(move |((occupant, mark), index)| {
            let is_changed = mark.take_change();
            occupant.as_deref().map(|occupant| (id_of(prefix, index, *mark), occupant, is_changed))
        })
    }

    /// As [`Self::iter`], to change what stands there.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (SessionId, &mut T)> {
        let prefix = self.prefix;
        self.occupants.iter_mut().zip(&mut self.marks).zip(0..).filter_map(move |((occupant, mark), index)| {
            mark.change();
            occupant.as_deref_mut().map(|occupant| (id_of(prefix, index, *mark), occupant))
        })
    }
}

fn id_of(prefix: u32, index: u32, mark: Mark) -> SessionId {
    SessionId(prefix | u32::from(mark.generation()) << SLOT_BITS | index)
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
