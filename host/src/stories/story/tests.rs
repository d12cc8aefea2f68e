use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::meetings::{LookupAnswer, NatKind};
use crate::stories::EventKind;

fn peer(number: u8) -> PeerId {
    PeerId([number; 32])
}

fn address(host: u8) -> SocketAddr {
    ([192, 0, 2, host], 5).into()
}

fn gone(at: Instant, number: u8) -> Event {
    let kind = EventKind::Disconnect { reason: "closed".into(), by: "the client".into() };
    Event::new(at, kind).of(peer(number), address(number))
}

fn lookup(at: Instant, asker: u8, target: u8) -> Event {
    let kind = EventKind::Lookup {
        target: Some(peer(target)),
        answer: LookupAnswer::Introduced,
        policy: "the server".into(),
        reason: None,
        took: Duration::ZERO,
        times: 0,
        redirected_to: Box::default(),
        is_forwarded: None,
    };
    Event::new(at, kind).of(peer(asker), address(asker))
}

fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.kind.name()).collect()
}

#[test]
fn the_story_of_a_peer_has_what_it_did_and_what_was_done_with_it_at_every_worker() {
    let (stories, now) = (Stories::new(2), Instant::now());
    let at = |seconds| now + Duration::from_secs(seconds);
    stories.write(0, lookup(at(2), 1, 2));
    stories.write(1, lookup(at(1), 2, 3));
    stories.write(1, gone(at(3), 2));
    stories.write(0, gone(at(4), 1));
    let told = |number| {
        let Found { events, is_truncated } = stories.of_peer(peer(number), 100);
        assert!(!is_truncated);
        names(&events)
    };
    assert_eq!(told(1), ["lookup", "disconnect"]);
    assert_eq!(told(2), ["lookup", "looked_up", "disconnect"]);
    assert_eq!(told(3), ["looked_up"]);
    assert!(told(4).is_empty());
    let of_address = EventFilter { ip: Some(address(2).ip()), ..EventFilter::default() };
    let found = stories.find(&of_address, 100).events;
    assert_eq!(names(&found), ["lookup", "disconnect"]);
    let workers: Vec<u8> = found.iter().map(|event| event.worker).collect();
    assert_eq!(workers, [1, 1]);
}

#[test]
fn the_newest_events_are_found_and_a_story_says_whether_older_ones_are_missing() {
    let (stories, now) = (Stories::with_room(1, 128 << 10), Instant::now());
    for number in 0..3000u32 {
        stories.write(0, gone(now + Duration::from_secs(number.into()), (number % 2) as u8));
    }
    let Found { events, is_truncated } = stories.of_peer(peer(1), 5);
    let seconds: Vec<u64> = events.iter().map(|event| (event.at - now).as_secs()).collect();
    assert_eq!((seconds.as_slice(), is_truncated), (&[2991, 2993, 2995, 2997, 2999][..], true));
    // All that is kept, which is less than what there was.
    let all = stories.find(&EventFilter::default(), usize::MAX);
    assert!(all.is_truncated && all.events.len() < 3000 && all.events.len() > PIECE as usize / 2);
    assert!(all.events.is_sorted_by_key(|event| event.at));
    // In a quiet server nothing is missing.
    let quiet = Stories::new(1);
    (0..5).for_each(|number| quiet.write(0, gone(now, number)));
    assert!(!quiet.find(&EventFilter::default(), 5).is_truncated);
    assert!(quiet.find(&EventFilter::default(), 4).is_truncated);
}

#[test]
fn a_reader_that_follows_the_events_gets_each_once_and_is_told_how_many_it_missed() {
    let (stories, now) = (Stories::with_room(2, 256 << 10), Instant::now());
    stories.write(0, gone(now, 9));
    let mut cursor = stories.cursor();
    assert_eq!(stories.since(&mut cursor, 100), News::default());
    for number in 0..600 {
        stories.write((number % 2) as u8, if number % 3 == 0 { gone(now, 1) } else { lookup(now, 1, 2) });
    }
    // One worker's lookups are more than a piece.
    let mut many = cursor.clone();
    let News { events, missed } = stories.since(&mut many, 100);
    assert_eq!(events.len() as u64 + missed, 600);
    assert_eq!(events.len(), 100);
    assert_eq!(stories.since(&mut many, 100), News::default());
    let News { events, missed } = stories.since(&mut cursor, usize::MAX);
    assert_eq!(events.len() as u64 + missed, 600);
    let mut numbers: Vec<_> = events.iter().map(|event| (event.worker, event.sequence)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), events.len());
    // A flood between two calls.
    for _ in 0..50_000 {
        stories.write(1, lookup(now, 1, 2));
    }
    let News { events, missed } = stories.since(&mut cursor, usize::MAX);
    assert_eq!(events.len() as u64 + missed, 50_000);
    assert!(missed > 49_000, "{missed}");
    assert_eq!(cursor, stories.cursor());
}

#[test]
fn of_each_pair_that_did_not_meet_the_newest_event_counts() {
    let (stories, now) = (Stories::new(1), Instant::now());
    let unmet = |seconds, asker, target, times| {
        let (asker_nat, target_nat) = (NatKind::PortChanging, NatKind::PortPreserving);
        let target = Some(peer(target));
        let kind = EventKind::Unmet { target, times, asker_nat, target_nat, is_over: times > 3 };
        Event::new(now + Duration::from_secs(seconds), kind).of(peer(asker), address(asker))
    };
    for (seconds, asker, target, times) in [(1, 1, 2, 3), (2, 2, 1, 3), (3, 1, 3, 3), (4, 1, 2, 9)] {
        stories.write(0, unmet(seconds, asker, target, times));
    }
    stories.write(0, lookup(now, 1, 2));
    let listed = |max| -> Vec<_> {
        let events = stories.unmet(max);
        events.iter().map(|event| (event.peer, event.kind.other(), (event.at - now).as_secs())).collect()
    };
    let pair = |asker, target, seconds| (Some(peer(asker)), Some(peer(target)), seconds);
    assert_eq!(listed(10), [pair(2, 1, 2), pair(1, 3, 3), pair(1, 2, 4)]);
    assert_eq!(listed(2), [pair(1, 3, 3), pair(1, 2, 4)]);
}

#[test]
fn events_have_a_time_of_day() {
    let stories = Stories::new(1);
    let (instant, time) = stories.started;
    let at = |instant| stories.time_of(&gone(instant, 1));
    assert_eq!(at(instant + Duration::from_secs(5)), time + Duration::from_secs(5));
    assert_eq!(at(instant), time);
    if let Some(before) = instant.checked_sub(Duration::from_millis(1)) {
        assert_eq!(at(before), time - Duration::from_millis(1));
    }
}

#[test]
fn all_workers_together_have_a_bounded_part_of_memory_and_each_enough() {
    let now = Instant::now();
    let kept = |workers: u8| {
        let stories = Stories::new(workers);
        (0..20_000).for_each(|_| stories.write(workers - 1, lookup(now, 1, 2)));
        stories.find(&EventFilter::default(), usize::MAX).events.len() * size_of::<Event>()
    };
    let (one, two, many) = (kept(1), kept(2), kept(255));
    assert!(one <= MAX_BYTES && two <= MAX_BYTES / 2, "{one} {two}");
    assert!(many <= MIN_BYTES_OF_WORKER && many > MIN_BYTES_OF_WORKER / 4, "{many}");
}
