//! The networks of which clients at one address report addresses, and how many clients of each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::Network;

/// Networks with their numbers of clients. Most addresses have one client, or clients of one network: these take no memory of their own.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "a map in place would make the many that need none larger")]
pub(super) enum Networks {
    #[default]
    None,
    One(Network, u32),
    Many(Box<HashMap<Network, u32>>),
}

impl Networks {
    /// How many networks there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(..) => 1,
            Self::Many(counts) => counts.len(),
        }
    }

    /// Counts a client.
    pub(super) fn add(&mut self, network: Network) {
        match self {
            Self::None => *self = Self::One(network, 1),
            Self::One(known, count) if *known == network => *count = count.saturating_add(1),
            Self::One(known, count) => *self = Self::Many(Box::new(HashMap::from([(*known, *count), (network, 1)]))),
            Self::Many(counts) => {
                let count = counts.entry(network).or_default();
                *count = count.saturating_add(1);
            }
        }
    }

    /// Counts a client no more.
    pub(super) fn remove(&mut self, network: Network) {
        match self {
            Self::None => (),
            Self::One(known, count) if *known == network => {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    *self = Self::None;
                }
            }
            Self::One(..) => (),
            Self::Many(counts) => {
                if let Entry::Occupied(mut count) = counts.entry(network) {
                    *count.get_mut() = count.get().saturating_sub(1);
                    if *count.get() == 0 {
                        count.remove();
                    }
                }
                if counts.is_empty() {
                    *self = Self::None;
                } else if counts.capacity() > 8 * counts.len() + 64 {
                    counts.shrink_to(2 * counts.len());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_counted_as_a_map_counts_them() {
        let network = |third: usize| Network::V4([10, 0, third as u8]);
        let (mut networks, mut map) = (Networks::default(), HashMap::<Network, u32>::new());
        // One comes and goes, then many, and all go.
        let steps = [(true, 1), (true, 1), (false, 2), (false, 1), (false, 1), (true, 3)].into_iter();
        let many = (0..2000).map(|step| (true, step % 200)).chain((0..2000).map(|step| (false, step % 200)));
        for (comes, third) in steps.chain(many).chain([(false, 3)]) {
            if comes {
                networks.add(network(third));
                *map.entry(network(third)).or_default() += 1;
            } else {
                networks.remove(network(third));
                if let Some(count) = map.get_mut(&network(third)) {
                    *count -= 1;
                }
                map.retain(|_, count| *count > 0);
            }
            assert_eq!(networks.len(), map.len());
        }
        assert!(matches!(networks, Networks::None));
    }
}
