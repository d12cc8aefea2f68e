//! Which slots there are as a record, and back.

use super::{Mark, Slots, id_of};
use crate::handover::StateError;
use crate::session_id::{MAX_GENERATION, MAX_PREFIXES, PREFIX_SHIFT, SessionId};

impl<T> Slots<T> {
    /// The prefix of the ids.
    pub(crate) fn prefix(&self) -> u8 {
        (self.prefix >> PREFIX_SHIFT) as u8 % MAX_PREFIXES
    }

    /// The generation of each slot, and the free slots, the one that has been free for longest first.
    pub(crate) fn record(&self) -> (Vec<u8>, Vec<u32>) {
        (self.marks.iter().map(|mark| mark.generation()).collect(), self.free.iter().copied().collect())
    }

    /// Makes the slots what they were, with these occupants. Slots that are neither occupied nor listed as free have become free.
    ///
    /// # Errors
    /// If there are more slots than there may be, or the lists contradict each other.
    pub(crate) fn restore(
        &mut self,
        generations: &[u8],
        free: &[u32],
        occupants: impl Iterator<Item = (SessionId, T)>,
    ) -> Result<(), StateError> {
        let (found, allowed) = (generations.len(), self.max);
        if found > allowed {
            return Err(StateError::TooMany { what: "places of sessions", found, allowed });
        }
        if generations.iter().any(|generation| *generation > MAX_GENERATION) {
            return Err(StateError::Invalid("a generation of a session id"));
        }
        self.marks = generations.iter().map(|generation| Mark::new(*generation)).collect();
        self.occupants = std::iter::repeat_with(|| None).take(found).collect();
        let mut is_listed = vec![false; found];
        for (id, occupant) in occupants {
            let is_known = self
                .marks
                .get(id.slot())
                .is_some_and(|mark| mark.generation() > 0 && id_of(self.prefix, id.slot() as u32, *mark) == id);
            let slot = self.occupants.get_mut(id.slot()).filter(|_| is_known);
            let slot = slot.ok_or(StateError::Invalid("a session id"))?;
            if slot.replace(Box::new(occupant)).is_some() {
                return Err(StateError::Invalid("two sessions of one id"));
            }
            is_listed[id.slot()] = true;
        }
        self.free.clear();
        for index in free {
            match is_listed.get_mut(*index as usize) {
                Some(is_listed) if !*is_listed => *is_listed = true,
                _ => return Err(StateError::Invalid("a free place of sessions")),
            }
            self.free.push_back(*index);
        }
        let others = (0..).zip(&is_listed).filter(|(_, is_listed)| !**is_listed);
        self.free.extend(others.map(|(index, _): (u32, _)| index));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used() -> (Slots<u32>, Vec<SessionId>) {
        let mut slots = Slots::new(3, 1000);
        let ids: Vec<_> = (0..6).map(|value| slots.insert(value).unwrap()).collect();
        slots.remove(ids[4]);
        slots.remove(ids[1]);
        (slots, ids)
    }

    fn occupants(slots: &Slots<u32>) -> Vec<(SessionId, u32)> {
        slots.iter().map(|(id, value)| (id, *value)).collect()
    }

    #[test]
    fn ids_and_their_order_of_use_come_back() {
        let (slots, ids) = used();
        let (generations, free) = slots.record();
        let mut restored = Slots::new(3, 1000);
        // One occupant is left out: its place becomes free after the others.
        let kept = occupants(&slots).into_iter().filter(|(id, _)| *id != ids[0]);
        restored.restore(&generations, &free, kept).unwrap();
        assert_eq!((restored.len(), restored.get(ids[0]), restored.get(ids[5])), (3, None, Some(&5)));
        assert_eq!(restored.record().1, [4, 1, 0]);
        assert_eq!(restored.prefix(), 3);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let (slots, ids) = used();
        let (generations, free) = slots.record();
        let refused = |max: usize, generations: &[u8], free: &[u32], occupants: Vec<(SessionId, u32)>| {
            Slots::new(3, max).restore(generations, free, occupants.into_iter()).unwrap_err()
        };
        let all = || occupants(&slots);
        assert!(matches!(refused(5, &generations, &free, all()), StateError::TooMany { found: 6, allowed: 5, .. }));
        assert!(matches!(refused(9, &[16; 6], &free, all()), StateError::Invalid(_)));
        assert!(matches!(refused(9, &generations, &[0], all()), StateError::Invalid(_)), "occupied");
        assert!(matches!(refused(9, &generations, &[1, 1], all()), StateError::Invalid(_)), "twice");
        assert!(matches!(refused(9, &generations, &[9], all()), StateError::Invalid(_)), "not there");
        let twice = vec![(ids[0], 1), (ids[0], 2)];
        assert!(matches!(refused(9, &generations, &[], twice), StateError::Invalid(_)));
        let foreign = vec![(SessionId::from_wire(ids[0].get() ^ 1 << 31), 1)];
        assert!(matches!(refused(9, &generations, &[], foreign), StateError::Invalid(_)));
    }
}
