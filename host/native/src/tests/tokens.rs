//! Tokens: each names one thing, for one plugin, once.

use crate::tokens::Tokens;

#[test]
fn a_token_is_its_owners_and_is_taken_once() {
    let tokens = Tokens::new(10);
    let (first, second) = (tokens.insert(1, "first").unwrap(), tokens.insert(2, "second").unwrap());
    assert_eq!((tokens.count(1), tokens.count(2), tokens.count(3)), (1, 1, 0));
    assert_eq!((tokens.peek(2, first, |what| *what), tokens.take(2, first)), (None, None), "another's");
    assert_eq!((tokens.peek(1, first, |what| *what), tokens.take(1, first)), (Some("first"), Some("first")));
    assert_eq!((tokens.peek(1, first, |what| *what), tokens.take(1, first)), (None, None), "it has been taken");
    assert_eq!((tokens.count(1), tokens.take(2, second)), (0, Some("second")));
    for made_up in [0, 1, 1 << 24, u64::MAX] {
        assert_eq!((tokens.peek(1, made_up, |_| ()), tokens.take(1, made_up)), (None, None));
    }
}

#[test]
fn there_is_room_for_so_many_and_what_is_taken_makes_room() {
    let tokens = Tokens::new(3);
    let all: Vec<u64> = (0..3).map(|number| tokens.insert(1, number).unwrap()).collect();
    assert_eq!(tokens.insert(1, 3), None);
    assert_eq!(tokens.take(1, all[1]), Some(1));
    let next = tokens.insert(1, 4).unwrap();
    assert!(!all.contains(&next) && tokens.insert(1, 5).is_none());
    // The slot is the same; the earlier token still names nothing.
    assert_eq!((tokens.peek(1, all[1], |what| *what), tokens.take(1, all[1])), (None, None));
    assert_eq!(tokens.take(1, next), Some(4));
}

#[test]
fn a_slot_is_used_again_when_many_others_are_free_the_longest_free_one_first() {
    let tokens = Tokens::new(100_000);
    let slot = |token: u64| token & 0xff_ffff;
    let slots: Vec<u64> = (0..600)
        .map(|number| {
            let token = tokens.insert(1, number).unwrap();
            tokens.take(1, token);
            slot(token)
        })
        .collect();
    assert_eq!(slots[..256], (0..256).collect::<Vec<_>>());
    assert_eq!(slots[256..512], (0..256).collect::<Vec<_>>());
}
