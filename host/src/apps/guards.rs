//! The instances that have a say in lookups of their clients, in a table that every lookup can check at little cost.

use std::sync::atomic::{AtomicU64, Ordering};

use introd_policy::InstanceId;

const WORDS: usize = (u16::MAX as usize + 1) / 64;

/// A bit for each instance. It is set while clients of other instances are introduced to its clients only with its consent.
#[derive(Debug)]
pub struct Guards(Box<[AtomicU64; WORDS]>);

impl Default for Guards {
    fn default() -> Self {
        Self(Box::new([const { AtomicU64::new(0) }; WORDS]))
    }
}

impl Guards {
    /// Whether lookups of the instance's clients by others need its consent. This costs one read of memory.
    pub fn has(&self, InstanceId(id): InstanceId) -> bool {
        self.0[usize::from(id) / 64].load(Ordering::Acquire) & bit(id) != 0
    }

    pub(super) fn set(&self, InstanceId(id): InstanceId, is_guarded: bool) {
        let word = &self.0[usize::from(id) / 64];
        if is_guarded {
            word.fetch_or(bit(id), Ordering::AcqRel);
        } else {
            word.fetch_and(!bit(id), Ordering::AcqRel);
        }
    }
}

fn bit(id: u16) -> u64 {
    1 << (id % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_instance_has_a_bit_of_its_own() {
        let guards = Guards::default();
        for id in [0, 1, 63, 64, 65, 4097, u16::MAX] {
            assert!(!guards.has(InstanceId(id)), "{id}");
            guards.set(InstanceId(id), true);
            assert!(guards.has(InstanceId(id)), "{id}");
        }
        guards.set(InstanceId(64), false);
        let set: Vec<u16> = (0..=u16::MAX).filter(|id| guards.has(InstanceId(*id))).collect();
        assert_eq!(set, [0, 1, 63, 65, 4097, u16::MAX]);
    }
}
