//! Paths that carry datagrams up to a size, and far ends that answer probes in their own ways.

use super::*;
use crate::test_clock::test_clock;

const MAX: usize = 1192;
const TIMEOUT: Duration = Duration::from_millis(250);
const ROUND_TRIP: Duration = Duration::from_millis(40);

/// A far end behind a path, and the time.
struct Bench {
    path: PathMtu,
    start: Instant,
    now: Instant,
    heard: Instant,
    /// What the path carries.
    carries: usize,
    /// Whether the far end echoes the messages of pings, and whether it answers them at all.
    echoes: bool,
    answers: bool,
    /// The path carries anything at all, and the far end sends other packets.
    is_up: bool,
    probes: usize,
    narrowed: usize,
}

impl Bench {
    fn new(carries: usize) -> Self {
        let now = test_clock();
        Self {
            path: PathMtu::new(MAX),
            start: now,
            now,
            heard: now,
            carries,
            echoes: true,
            answers: true,
            is_up: true,
            probes: 0,
            narrowed: 0,
        }
    }

    fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// A flow has more to send than a packet holds, until the search that follows is over.
    fn search(&mut self) {
        if self.path.may_search(self.elapsed(), MAX) {
            self.path.search(self.now, MAX, [self.probes as u8; NONCE_LEN]);
        }
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(probe) = self.path.take_probe(self.now, TIMEOUT) {
            self.probes += 1;
            assert!(self.probes < 1000 && probe.size <= MAX && self.path.deadline() == Some(self.now + TIMEOUT));
            let passes = self.is_up && probe.size <= self.carries && self.answers;
            self.now += if passes { ROUND_TRIP } else { TIMEOUT };
            self.heard = if self.is_up { self.now } else { self.heard };
            if passes && self.echoes {
                self.path.on_reply(self.now, self.elapsed(), &probe.message, MAX);
            } else if passes {
                self.path.on_empty_reply(self.now, self.elapsed(), MAX);
            } else {
                let verdict = self.path.on_timeout(self.now, self.elapsed(), self.heard, MAX);
                self.narrowed += usize::from(verdict == Verdict::Narrower);
            }
        }
        assert!(self.path.search.is_none(), "{:?}", self.path);
    }

    /// Long chunks are lost, or arrive, so many times.
    fn observe(&mut self, chunks: LongChunks, times: usize) {
        for _ in 0..times {
            let verdict = self.path.observe(self.now, self.elapsed(), chunks, MAX, || [9; NONCE_LEN]);
            self.narrowed += usize::from(verdict == Verdict::Narrower);
            self.settle();
        }
    }
}

const ARRIVED: LongChunks = LongChunks { arrived: true, suspicion: 0 };
const LOST: LongChunks = LongChunks { arrived: false, suspicion: 1 };
const TIMED_OUT: LongChunks = LongChunks { arrived: false, suspicion: 2 };

#[test]
fn one_probe_shows_that_an_ordinary_path_carries_the_largest_size() {
    let mut bench = Bench::new(1472);
    assert_eq!(bench.path.size(), MIN_DATAGRAM);
    bench.search();
    assert_eq!((bench.path.size(), bench.probes, bench.elapsed()), (MAX, 1, ROUND_TRIP));
    bench.now += Duration::from_secs(100_000);
    assert!(!bench.path.may_search(bench.elapsed(), MAX));
}

#[test]
fn what_a_narrow_path_carries_is_found_within_some_probes_whether_messages_are_echoed_or_not() {
    for echoes in [true, false] {
        for carries in MIN_DATAGRAM..MAX {
            let mut bench = Bench { echoes, ..Bench::new(carries) };
            bench.search();
            let size = bench.path.size();
            assert!(size <= carries && carries - size <= usize::from(STEP), "{carries}: {size}");
            assert!(bench.probes <= 2 + 1 + 6 * 2, "{carries}: {}", bench.probes);
        }
    }
}

#[test]
fn a_narrow_path_is_searched_again_after_ten_minutes() {
    let mut bench = Bench::new(972);
    bench.search();
    bench.carries = 1472;
    let searched = bench.elapsed();
    bench.now = bench.start + Duration::from_secs(searched.as_secs() + 599);
    bench.search();
    assert!(bench.path.size() <= 972);
    bench.now += Duration::from_secs(1);
    bench.search();
    assert_eq!(bench.path.size(), MAX);
}

#[test]
fn a_path_that_became_narrower_is_known_by_long_chunks_that_are_lost_again_and_again() {
    let mut bench = Bench::new(1472);
    bench.search();
    bench.carries = 972;
    bench.observe(LOST, 3);
    assert_eq!((bench.path.size(), bench.probes), (MAX, 1));
    bench.observe(LOST, 1);
    assert!((956..=972).contains(&bench.path.size()), "{:?}", bench.path);
    assert_eq!(bench.narrowed, 1);
    // And narrower still, to the least.
    bench.carries = MIN_DATAGRAM;
    bench.observe(TIMED_OUT, 2);
    assert_eq!((bench.path.size(), bench.narrowed), (MIN_DATAGRAM, 2));
    bench.observe(TIMED_OUT, 100);
    assert_eq!(bench.narrowed, 2);
}

#[test]
fn other_losses_and_an_interruption_do_not_make_a_path_narrower() {
    let mut bench = Bench::new(1472);
    bench.search();
    for _ in 0..100 {
        bench.observe(LOST, 3);
        bench.observe(ARRIVED, 1);
    }
    assert_eq!(bench.probes, 1);
    // The present size arrives when it is asked for.
    bench.observe(TIMED_OUT, 2);
    assert_eq!((bench.path.size(), bench.probes, bench.narrowed), (MAX, 2, 0));
    // Nothing arrives at all.
    bench.is_up = false;
    bench.observe(TIMED_OUT, 50);
    assert_eq!((bench.path.size(), bench.narrowed), (MAX, 0));
}

#[test]
fn an_interruption_while_nothing_is_known_yet_delays_the_search_and_no_more() {
    let mut bench = Bench { is_up: false, ..Bench::new(1472) };
    bench.search();
    assert_eq!(bench.path.size(), MIN_DATAGRAM);
    bench.search();
    assert!(!bench.path.may_search(bench.elapsed(), MAX));
    bench.is_up = true;
    bench.now += Duration::from_secs(2);
    bench.search();
    assert_eq!((bench.path.size(), bench.path.answers), (MAX, Answers::Yes));
}

#[test]
fn a_far_end_that_answers_no_probe_gets_the_largest_size_until_its_long_chunks_are_lost() {
    let mut bench = Bench { answers: false, ..Bench::new(1472) };
    bench.search();
    assert_eq!((bench.path.size(), bench.probes, bench.path.answers), (MAX, 5, Answers::No));
    bench.observe(TIMED_OUT, 3);
    bench.observe(ARRIVED, 1);
    bench.observe(TIMED_OUT, 3);
    assert_eq!(bench.path.size(), MAX);
    bench.observe(TIMED_OUT, 1);
    assert_eq!((bench.path.size(), bench.narrowed), (MIN_DATAGRAM, 1));
    bench.search();
    assert_eq!(bench.path.size(), MIN_DATAGRAM, "not at once");
    bench.now += Duration::from_secs(60);
    bench.search();
    assert_eq!((bench.path.size(), bench.probes), (MAX, 5));
}

#[test]
fn another_address_is_another_path() {
    let mut bench = Bench::new(1472);
    bench.search();
    bench.path.moved(MAX);
    assert_eq!(bench.path.size(), MIN_DATAGRAM);
    // A reply of the old path comes late.
    bench.path.search(bench.now, MAX, [1; NONCE_LEN]);
    let old = bench.path.take_probe(bench.now, TIMEOUT).unwrap();
    bench.path.moved(MAX);
    bench.path.search(bench.now, MAX, [2; NONCE_LEN]);
    bench.path.on_reply(bench.now, bench.elapsed(), &old.message, MAX);
    assert_eq!(bench.path.size(), MIN_DATAGRAM);
}

#[test]
fn replies_that_were_not_asked_for_change_nothing() {
    let mut bench = Bench::new(1472);
    let reply = |bench: &mut Bench, message: &[u8]| {
        bench.path.on_reply(bench.now, bench.elapsed(), message, MAX);
        bench.path.size()
    };
    assert_eq!(reply(&mut bench, b"P\x01\x01\x01\x01\x04\xa8"), MIN_DATAGRAM);
    bench.path.on_empty_reply(bench.now, bench.elapsed(), MAX);
    bench.path.search(bench.now, MAX, [1; NONCE_LEN]);
    bench.path.on_empty_reply(bench.now, bench.elapsed(), MAX);
    assert_eq!(bench.path.size(), MIN_DATAGRAM, "nothing was sent yet");
    bench.path.take_probe(bench.now, TIMEOUT).unwrap();
    for message in [
        &b"P"[..],
        b"P\x01\x01\x01\x01",
        b"P\x01\x01\x01\x01\x04",
        b"P\x01\x01\x01\x01\x04\xa8\x00",
        // Another search, another mark, more than was ever sent.
        b"P\x01\x01\x01\x02\x04\xa8",
        b"M\x01\x01\x01\x01\x04\xa8",
        b"P\x01\x01\x01\x01\xff\xff",
    ] {
        assert_eq!(reply(&mut bench, message), MIN_DATAGRAM, "{message:?}");
    }
    assert_eq!(reply(&mut bench, b"P\x01\x01\x01\x01\x04\xa8"), MAX);
}

#[test]
fn a_largest_size_below_the_least_is_the_only_one() {
    let path = PathMtu::new(400);
    assert_eq!(path.size(), 400);
    assert!(!path.may_search(Duration::from_secs(1000), 400));
}

#[test]
fn oversized_packets_go_whole_and_in_pieces_by_turns_each_with_a_number() {
    let mut path = PathMtu::new(MAX);
    let turns: Vec<_> = (0..6).map(|_| path.next_oversized()).collect();
    assert_eq!(turns, [None, Some(0), None, Some(1), None, Some(2)]);
    path.moved(MAX);
    assert_eq!([path.next_oversized(), path.next_oversized()], [None, Some(3)]);
}
