//! Fragments in any order, those too that make no message.

use super::*;
use FragmentControl::{Begin, End, Middle, Whole};
use proptest::prelude::*;

fn settled(reassembly: &mut Reassembly, cumulative: u64) -> Vec<(u64, Vec<u8>)> {
    let mut messages = Vec::new();
    reassembly.settle(cumulative, |message| messages.push((message.first, message.data)));
    messages
}

#[test]
fn fragments_in_order_become_messages() {
    let mut reassembly = Reassembly::default();
    assert_eq!(reassembly.take_next(1, Whole, b"w").unwrap().data, b"w");
    assert_eq!(reassembly.take_next(2, Begin, b"ab"), None);
    assert_eq!(reassembly.take_next(3, Middle, b"cd"), None);
    assert_eq!(reassembly.buffered(), 4);
    assert_eq!(reassembly.take_next(4, End, b"e"), Some(Assembled { first: 2, last: 4, data: b"abcde".to_vec() }));
    assert_eq!(reassembly.buffered(), 0);
}

#[test]
fn fragments_of_messages_given_up_are_forgotten() {
    let mut reassembly = Reassembly::default();
    reassembly.take_next(1, Begin, b"ab");
    // 2 was abandoned: the message begun at 1 is lost.
    assert_eq!(settled(&mut reassembly, 2), []);
    assert_eq!(reassembly.buffered(), 0);
    assert_eq!(reassembly.take_next(3, End, b"z"), None);
    assert_eq!(reassembly.store(6, Middle, b"x", false), None);
    assert_eq!(reassembly.store(7, End, b"y", false), None);
    assert_eq!(reassembly.store(8, Whole, b"k", false), None);
    assert_eq!(settled(&mut reassembly, 8), [(8, b"k".to_vec())]);
    assert_eq!(reassembly.buffered(), 0);
}

#[test]
fn order_of_arrival_does_not_wait_for_gaps() {
    let mut reassembly = Reassembly::default();
    assert_eq!(reassembly.store(5, End, b"c", true), None);
    assert_eq!(reassembly.store(3, Begin, b"a", true), None);
    assert_eq!(reassembly.store(9, Whole, b"w", true).unwrap().data, b"w");
    assert_eq!(reassembly.store(4, Middle, b"b", true), Some(Assembled { first: 3, last: 5, data: b"abc".to_vec() }));
    assert_eq!(reassembly.buffered(), 0);
}

#[test]
fn a_run_whose_start_is_settled_continues_in_order() {
    let mut reassembly = Reassembly::default();
    reassembly.store(2, Begin, b"a", false);
    reassembly.store(3, Middle, b"b", false);
    assert_eq!(settled(&mut reassembly, 3), []);
    assert_eq!(reassembly.in_progress(), 2);
    assert_eq!(reassembly.take_next(4, End, b"c").unwrap().data, b"abc");
}

proptest! {
    /// Messages cut into fragments and shuffled come out whole, once, in order; nothing stays behind.
    #[test]
    fn any_order_of_fragments(
        lengths in prop::collection::vec(1usize..6, 1..12),
        keys in prop::collection::vec(any::<u32>(), 72),
    ) {
        let mut fragments = Vec::new();
        let mut expected = Vec::new();
        for length in &lengths {
            let first = fragments.len() as u64 + 1;
            let message: Vec<u8> = (0..*length).map(|at| (first as usize + at) as u8).collect();
            for (at, byte) in message.iter().enumerate() {
                let control = match (at, at + 1 == *length) {
                    (0, true) => Whole,
                    (0, false) => Begin,
                    (_, true) => End,
                    _ => Middle,
                };
                fragments.push((first + at as u64, control, *byte));
            }
            expected.push((first, message));
        }
        let total = fragments.len() as u64;
        fragments.sort_by_key(|fragment| keys[fragment.0 as usize % keys.len()]);
        let mut reassembly = Reassembly::default();
        let mut got = Vec::new();
        let mut seen = std::collections::BTreeSet::from([0u64]);
        let mut cumulative = 0;
        for (number, control, byte) in fragments {
            seen.insert(number);
            if number == cumulative + 1 {
                got.extend(reassembly.take_next(number, control, &[byte]).map(|message| (message.first, message.data)));
            } else {
                prop_assert!(reassembly.store(number, control, &[byte], false).is_none());
            }
            while seen.contains(&(cumulative + 1)) {
                cumulative += 1;
            }
            got.extend(settled(&mut reassembly, cumulative));
        }
        prop_assert_eq!(cumulative, total);
        prop_assert_eq!(got, expected);
        prop_assert_eq!(reassembly.buffered(), 0);
    }
}

/// A run that begins a message is not the rest of the one before it, and what follows the end of a message is not a part of it:
/// whatever a far end sends, no message is put together from two.
#[test]
fn runs_of_different_messages_are_not_joined() {
    // What comes, each fragment with its number as its data, and the message that is made of it.
    type Case<'a> = (&'a [(u64, FragmentControl)], &'a [u8]);
    let cases: [Case<'_>; 7] = [
        (&[(4, Whole), (3, Begin)], &[4]),
        (&[(4, Whole), (3, Middle)], &[4]),
        (&[(4, Begin), (3, Begin), (5, End)], &[4, 5]),
        (&[(3, Whole), (4, End)], &[3]),
        (&[(3, End), (4, End)], &[]),
        (&[(2, Begin), (3, End), (4, Middle), (5, End)], &[2, 3]),
        (&[(5, End), (4, Middle), (3, End), (2, Begin)], &[2, 3]),
    ];
    for (fragments, whole) in cases {
        for deliver in [false, true] {
            let mut reassembly = Reassembly::default();
            let mut got = Vec::new();
            for &(number, control) in fragments {
                got.extend(reassembly.store(number, control, &[number as u8], deliver).map(|message| message.data));
            }
            got.extend(settled(&mut reassembly, 9).into_iter().map(|(_, data)| data));
            assert_eq!(got.concat(), whole, "{fragments:?} {deliver}");
            assert_eq!(reassembly.buffered(), 0);
        }
    }
    // The same in order: a message that begins before the last one has ended takes its place.
    let mut reassembly = Reassembly::default();
    assert_eq!(reassembly.take_next(1, Begin, b"lost"), None);
    assert_eq!(reassembly.take_next(2, Begin, b"a"), None);
    assert_eq!(reassembly.take_next(3, End, b"b").unwrap().data, b"ab");
    assert_eq!(reassembly.take_next(4, Begin, b"lost"), None);
    assert_eq!(reassembly.take_next(5, Whole, b"w").unwrap().data, b"w");
    assert_eq!(reassembly.take_next(6, End, b"x"), None);
    assert_eq!(reassembly.buffered(), 0);
}

/// What is left out in the middle of a message makes it incomplete, whether the rest comes in order or not.
#[test]
fn a_message_with_a_hole_is_given_up() {
    let mut reassembly = Reassembly::default();
    reassembly.take_next(1, Begin, b"a");
    assert_eq!(reassembly.take_next(3, End, b"c"), None);
    assert_eq!(reassembly.buffered(), 0);
    reassembly.take_next(4, Begin, b"a");
    reassembly.store(6, End, b"c", false);
    assert_eq!(settled(&mut reassembly, 6), []);
    assert_eq!(reassembly.buffered(), 0);
    // In progress, it is kept for as long as nothing after it is settled.
    reassembly.take_next(7, Begin, b"a");
    assert!(reassembly.is_settled(7) && !reassembly.is_settled(8));
    assert_eq!(settled(&mut reassembly, 7), []);
    assert_eq!(reassembly.in_progress(), 1);
}

/// What is kept out of order counts 128 bytes more for each fragment, however runs are joined.
#[test]
fn fragments_out_of_order_count_with_what_they_cost() {
    for order in [[3, 4, 5], [5, 4, 3], [3, 5, 4], [4, 5, 3]] {
        let mut reassembly = Reassembly::default();
        for number in order {
            reassembly.store(number, if number == 3 { Begin } else { Middle }, &[0; 10], false);
        }
        assert_eq!(reassembly.buffered(), 3 * Reassembly::cost_of(10));
        assert_eq!(Reassembly::cost_of(10), 138);
        assert_eq!(settled(&mut reassembly, 5), []);
        assert_eq!((reassembly.buffered(), reassembly.in_progress()), (30, 30));
    }
}

/// A new message reserves what the last one needed, and never more than 16 KiB before it comes: a far end that begins many long
/// messages gets no memory for nothing.
#[test]
fn a_message_reserves_little_before_it_comes() {
    let reserved = |last: usize, first: usize| {
        let mut reassembly = Reassembly::default();
        reassembly.take_next(1, Begin, &vec![0; last]);
        reassembly.take_next(2, End, b"");
        reassembly.take_next(3, Begin, &vec![0; first]);
        reassembly.partial.unwrap().data.capacity()
    };
    assert_eq!(reserved(2000, 10), 2000);
    assert_eq!(reserved(1 << 20, 10), 16 << 10);
    assert_eq!(reserved(10, 500), 500);
    assert_eq!(reserved(1 << 20, 20_000), 20_000);
}
