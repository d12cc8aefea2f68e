//! What the directory costs in memory, and that it gives it back.

use super::*;

#[test]
fn a_peer_takes_one_cache_line() {
    assert_eq!((size_of::<Entry>(), align_of::<Entry>()), (64, 64));
    assert_eq!(size_of::<Shard>(), 64);
    assert_eq!(size_of::<PackedAddress>(), 18);
}

#[test]
fn memory_is_bounded_per_peer_and_given_back() {
    let directory = Directory::new();
    let empty = directory.allocated();
    assert!(empty <= 16 * 1024, "{empty}");
    let count = 60_000;
    for number in 0..count {
        directory.connect(id(number), owner(0, number), INSTANCE, address("192.0.2.1:1"), false);
    }
    assert_eq!((directory.len(), directory.is_empty()), (count as usize, false));
    // Twice the entries and a byte for each place, at the most: tables double at 7/8.
    let full = directory.allocated();
    assert!((64 * count as usize..=160 * count as usize).contains(&full), "{full}");
    for number in 0..count {
        assert_eq!(directory.remove(&id(number), owner(0, number)), Departure::Vacant);
    }
    assert!(directory.is_empty());
    assert_eq!(directory.allocated(), empty);
}

/// So many ids that are in one shard.
fn of_one_shard(directory: &Directory, count: usize) -> Vec<PeerId> {
    let shard = |id: &PeerId| std::ptr::from_ref(directory.shard(directory.hash(id)));
    let first = shard(&id(0));
    (0..).map(id).filter(|id| shard(id) == first).take(count).collect()
}

/// Numbers of entries, and how many places a table has that once had the first of them: it shrinks when it has more than 8 times as many
/// places as entries, to places for twice the entries, of which it fills 7 in 8.
const PLACES: [(usize, usize); 8] =
    [(448, 512), (64, 512), (63, 256), (32, 256), (31, 128), (16, 128), (15, 64), (1, 64)];

#[test]
fn a_table_shrinks_when_it_needs_far_less_room_and_not_before() {
    let directory = Directory::new();
    let mut ids = of_one_shard(&directory, 448);
    for id in &ids {
        directory.connect(*id, owner(0, 1), INSTANCE, address("192.0.2.1:1"), false);
    }
    let hash = directory.hash(&ids[0]);
    for (count, places) in PLACES {
        for gone in ids.drain(count..) {
            assert_eq!(directory.remove(&gone, owner(0, 1)), Departure::Vacant);
        }
        assert_eq!((directory.len(), directory.read(hash).entries.num_buckets()), (count, places));
        assert!(ids.iter().all(|id| directory.lookup(id).is_some()));
    }
}

#[test]
fn what_is_kept_beside_the_entries_shrinks_and_goes_as_well() {
    let directory = Directory::new();
    let mut ids = of_one_shard(&directory, 448);
    for id in &ids {
        directory.connect(*id, owner(0, 1), INSTANCE, address("192.0.2.1:1"), false);
        directory.set_silent(id, owner(0, 1), true);
    }
    let hash = directory.hash(&ids[0]);
    let beside = || directory.read(hash).rivals.as_ref().map(|rivals| (rivals.len(), rivals.num_buckets()));
    for (count, places) in PLACES {
        for awake in ids.drain(count..) {
            directory.set_silent(&awake, owner(0, 1), false);
        }
        assert_eq!(beside(), Some((count, places)));
        assert!(ids.iter().all(|id| directory.lookup(id).unwrap().is_silent));
    }
    directory.set_silent(&ids[0], owner(0, 1), false);
    assert_eq!(beside(), None);
}

#[test]
fn peers_are_spread_over_all_shards_and_within_them() {
    let directory = Directory::new();
    for number in 0..SHARDS as u32 * 64 {
        directory.connect(id(number), owner(0, number), INSTANCE, address("192.0.2.1:1"), false);
    }
    let sizes: Vec<usize> = directory.shards.iter().map(|shard| shard.0.read().unwrap().entries.len()).collect();
    assert!(sizes.iter().all(|size| (16..192).contains(size)), "{sizes:?}");
    let hashes: std::collections::HashSet<u64> = (0..1000).map(|number| directory.hash(&id(number))).collect();
    assert_eq!(hashes.len(), 1000);
}
