//! Tokens: names for what is pending, that outlive what they name.
//!
//! A token is a slot and how often that slot has been used: one that was taken out names nothing any more, for ever.

use std::collections::VecDeque;

use super::sync::{Mutex, MutexGuard, PoisonError};

/// The bits of a token that name the slot. The rest count its uses.
const SLOT_BITS: u32 = 24;
/// A slot is used again only when this many others are free. With 2^40 uses of each, at a hundred thousand tokens a second,
/// tokens come back after 90 years.
const MIN_FREE: usize = 256;
const MAX_SLOTS: usize = 1 << SLOT_BITS;

/// What is pending, by token.
pub(super) struct Tokens<T> {
    table: Mutex<Table<T>>,
    most: usize,
}

struct Table<T> {
    slots: Vec<Slot<T>>,
    /// The one that has been free for longest first.
    free: VecDeque<u32>,
}

struct Slot<T> {
    /// From 1, so that no token is 0.
    uses: u64,
    occupant: Option<(u32, T)>,
}

impl<T> Tokens<T> {
    /// Room for that many.
    pub(super) fn new(most: usize) -> Self {
        Self { table: Mutex::new(Table { slots: Vec::new(), free: VecDeque::new() }), most: most.min(MAX_SLOTS) }
    }

    fn table(&self) -> MutexGuard<'_, Table<T>> {
        // Nothing under the lock panics halfway.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token of `owner` for something; `None` if there is no room.
    pub(super) fn insert(&self, owner: u32, what: T) -> Option<u64> {
        let mut table = self.table();
        let slot = if table.free.len() < MIN_FREE && table.slots.len() < self.most {
            table.slots.push(Slot { uses: 0, occupant: None });
            table.slots.len() as u32 - 1
        } else {
            table.free.pop_front()?
        };
        let entry = table.slots.get_mut(slot as usize)?;
        entry.uses += 1;
        entry.occupant = Some((owner, what));
        Some(entry.uses << SLOT_BITS | u64::from(slot))
    }

    /// Takes out what a token of `owner` names: of several callers, one gets it.
    pub(super) fn take(&self, owner: u32, token: u64) -> Option<T> {
        let slot = (token & (MAX_SLOTS as u64 - 1)) as usize;
        let mut table = self.table();
        let entry = table.slots.get_mut(slot)?;
        let is_it = entry.uses == token >> SLOT_BITS && entry.occupant.as_ref().is_some_and(|(own, _)| *own == owner);
        if !is_it {
            return None;
        }
        let (_, what) = entry.occupant.take()?;
        table.free.push_back(slot as u32);
        Some(what)
    }

    /// Looks at what a token of `owner` names.
    pub(super) fn peek<R>(&self, owner: u32, token: u64, look: impl FnOnce(&T) -> R) -> Option<R> {
        let slot = (token & (MAX_SLOTS as u64 - 1)) as usize;
        let table = self.table();
        let entry = table.slots.get(slot).filter(|entry| entry.uses == token >> SLOT_BITS)?;
        entry.occupant.as_ref().filter(|(own, _)| *own == owner).map(|(_, what)| look(what))
    }

    /// How many of `owner` are pending.
    pub(super) fn count(&self, owner: u32) -> usize {
        self.table().slots.iter().filter(|slot| slot.occupant.as_ref().is_some_and(|(own, _)| *own == owner)).count()
    }
}
