//! The announcements that were heard, so that none is taken twice.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use rtmfp::PeerId;

/// How far the clock of a member may be from this one's. An announcement whose time is further away is not believed: after that time,
/// nobody can send it again with success.
pub const MAX_SKEW: Duration = Duration::from_secs(120);
/// How many members and addresses are remembered. Only members can make another one needed.
const MAX_REMEMBERED: usize = 1024;

/// The time of the last announcement of each member at each of its addresses.
#[derive(Debug, Default)]
pub(super) struct Memory(BTreeMap<(PeerId, SocketAddr), u64>);

impl Memory {
    /// Whether an announcement is new: sent about now, and after the last one of that member at that address. It is then remembered. Times
    /// are in milliseconds since 1970.
    ///
    /// If too many are remembered, the one that was sent first is forgotten. It may then be taken twice, which tells members no more than
    /// once: its sender is at that address.
    pub(super) fn is_new(&mut self, now: u64, peer: PeerId, address: SocketAddr, sent: u64) -> bool {
        let skew = MAX_SKEW.as_millis() as u64;
        if now.abs_diff(sent) > skew {
            return false;
        }
        let key = (peer, address);
        match self.0.get_mut(&key) {
            Some(last) if *last >= sent => return false,
            Some(last) => *last = sent,
            None => {
                if self.0.len() >= MAX_REMEMBERED {
                    self.0.retain(|_, last| now.abs_diff(*last) <= skew);
                }
                if self.0.len() >= MAX_REMEMBERED {
                    let first = self.0.iter().min_by_key(|(_, last)| **last).map(|(key, _)| *key);
                    first.and_then(|first| self.0.remove(&first));
                }
                self.0.insert(key, sent);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;
    const SKEW: u64 = MAX_SKEW.as_millis() as u64;

    fn peer(number: usize) -> PeerId {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        PeerId(id)
    }

    fn at(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn each_is_taken_once_and_earlier_ones_of_the_same_member_and_address_never() {
        let mut memory = Memory::default();
        assert!(memory.is_new(NOW, peer(1), at(1), NOW));
        assert!(!memory.is_new(NOW, peer(1), at(1), NOW));
        assert!(!memory.is_new(NOW, peer(1), at(1), NOW - 1));
        assert!(memory.is_new(NOW, peer(1), at(1), NOW + 1));
        assert!(!memory.is_new(NOW, peer(1), at(1), NOW));
        assert!(memory.is_new(NOW, peer(1), at(2), NOW));
        assert!(memory.is_new(NOW, peer(2), at(1), NOW));
    }

    #[test]
    fn the_past_and_the_future_are_not_believed() {
        let mut memory = Memory::default();
        for (number, (sent, is_new)) in [
            (NOW - SKEW, true),
            (NOW - SKEW - 1, false),
            (NOW + SKEW, true),
            (NOW + SKEW + 1, false),
            (0, false),
            (u64::MAX, false),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(memory.is_new(NOW, peer(number), at(1), sent), is_new, "{sent}");
        }
        // What was taken cannot be sent again when it has been forgotten.
        assert!(!memory.is_new(NOW + SKEW + 1, peer(0), at(1), NOW));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut memory = Memory::default();
        for number in 0..10 * MAX_REMEMBERED {
            assert!(memory.is_new(NOW, peer(number), at(1), NOW + number as u64 % 1000));
            assert!(memory.0.len() <= MAX_REMEMBERED);
        }
        // Those that are too old go first, and together.
        let later = NOW + 2 * SKEW;
        assert!(memory.is_new(later, peer(0), at(1), later));
        assert_eq!(memory.0.len(), 1);
        // Else the oldest.
        (1..MAX_REMEMBERED).for_each(|number| assert!(memory.is_new(later, peer(number), at(1), later + 1)));
        assert!(memory.is_new(later, peer(MAX_REMEMBERED), at(1), later + 1));
        assert!(!memory.0.contains_key(&(peer(0), at(1))) && memory.0.contains_key(&(peer(1), at(1))));
    }
}
