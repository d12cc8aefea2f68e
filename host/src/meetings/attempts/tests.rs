use rtmfp::InterfaceId;
use smallvec::SmallVec;

use super::*;

fn lookup(host: u32, tag: u32) -> Lookup {
    Lookup {
        target: Some(PeerId([7; 32])),
        epd: SmallVec::new(),
        initiator: (std::net::Ipv4Addr::from(0x0a00_0000 | host), 5000).into(),
        tag: SmallVec::from_slice(&tag.to_be_bytes()),
        interface: InterfaceId(0),
        asker: None,
        received: 68,
    }
}

fn ends() -> Ends {
    Ends { asker: None, application: None, asker_nat: NatKind::PortPreserving, target_nat: NatKind::PortChanging }
}

/// The attempts of a worker, and a clock.
struct Followers {
    attempts: Attempts,
    now: Instant,
    /// The outcomes of those that were settled, and how often they were repeated.
    settled: Vec<(Option<Outcome>, u16)>,
}

impl Followers {
    fn new() -> Self {
        Self { attempts: Attempts::default(), now: Instant::now(), settled: Vec::new() }
    }

    /// What a hello of an asker means: `new`, `repeated`, `given up`, `copy` or `no room`.
    fn hello(&mut self, lookup: &Lookup, answer: LookupAnswer) -> &'static str {
        match self.attempts.answered(self.now, lookup, answer, true, ends) {
            Followed::New(_) => "new",
            Followed::Repeated(_) => "repeated",
            Followed::GivenUp(_) => "given up",
            Followed::Copy => "copy",
            Followed::NoRoom => "no room",
        }
    }

    /// Lets time pass, with every sweep at its time.
    fn wait(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        while let Some(at) = self.attempts.next_timeout().filter(|at| *at <= until) {
            self.now = at;
            self.attempts.sweep(at, |attempt, outcome| self.settled.push((outcome, attempt.times)));
        }
        self.now = until;
    }

    /// The outcome of an attempt whose hellos come after these times, each answered in the same way; and what the last hello meant.
    fn outcome(gaps: &[u64], answer: LookupAnswer) -> (Option<Outcome>, u16, &'static str) {
        let mut followers = Self::new();
        let mut last = followers.hello(&lookup(1, 1), answer);
        for gap in gaps {
            followers.wait(*gap);
            last = followers.hello(&lookup(1, 1), answer);
        }
        assert!(followers.settled.is_empty(), "not while hellos come: {gaps:?}");
        followers.wait(120_000);
        assert!(followers.attempts.is_empty() && followers.attempts.next_timeout().is_none());
        let [(outcome, times)] = followers.settled[..] else { panic!("{:?}", followers.settled) };
        (outcome, times, last)
    }
}

#[test]
fn an_asker_that_asks_no_more_has_met_the_target_and_one_that_goes_on_has_not() {
    use LookupAnswer::{Introduced, Redirected};
    for answer in [Introduced, Redirected] {
        for (gaps, outcome, times, last) in [
            // The timing of RFC 7016 and of rtmfp-cpp.
            (&[][..], Some(Outcome::Met), 0, "new"),
            (&[1000], Some(Outcome::Met), 1, "repeated"),
            (&[1000, 2500], Some(Outcome::Repeated), 2, "repeated"),
            (&[1000, 2500, 4000], None, 3, "given up"),
            (&[1000, 2500, 4000, 5500, 7000, 8500, 10_000, 11_500, 13_000, 14_500, 16_000], None, 11, "repeated"),
            // That of librtmfp, which asks the introducer after two tries elsewhere.
            (&[1500], Some(Outcome::Met), 1, "repeated"),
            (&[4500], Some(Outcome::Repeated), 1, "repeated"),
            (&[4500, 4500, 6000], None, 3, "given up"),
            // One repeat got lost on the way.
            (&[3500], Some(Outcome::Repeated), 1, "repeated"),
            (&[1000, 2500, 9500], None, 3, "given up"),
            // An asker that is faster than it should be.
            (&[500, 500, 500], Some(Outcome::Met), 3, "repeated"),
            (&[500, 500, 500, 500, 500, 500], Some(Outcome::Repeated), 6, "repeated"),
        ] {
            assert_eq!(Followers::outcome(gaps, answer), (outcome, times, last), "{gaps:?}");
        }
    }
}

#[test]
fn a_relay_gives_an_attempt_as_much_time_again() {
    let mut followers = Followers::new();
    let hello = |followers: &mut Followers, gap: u64, answer| {
        followers.wait(gap);
        followers.hello(&lookup(1, 1), answer)
    };
    use LookupAnswer::{Introduced, Relayed};
    assert_eq!(hello(&mut followers, 0, Introduced), "new");
    assert_eq!(hello(&mut followers, 1500, Introduced), "repeated");
    // The relay is offered at the third hello. The fourth would have counted as given up.
    assert_eq!(hello(&mut followers, 3000, Relayed), "repeated");
    assert_eq!(hello(&mut followers, 4500, Relayed), "repeated");
    assert_eq!(hello(&mut followers, 6000, Relayed), "given up");
}

#[test]
fn an_attempt_without_an_introduction_has_the_outcome_of_its_last_answer() {
    use LookupAnswer as Answer;
    for answer in [
        Answer::SentElsewhere,
        Answer::Denied,
        Answer::Ignored,
        Answer::LatePolicy,
        Answer::UnknownPeer,
        Answer::Unanswered,
    ] {
        let (gaps, outcome) = ([1000, 2500, 4000, 5500], Outcome::NotIntroduced(answer));
        assert_eq!(Followers::outcome(&gaps, answer), (Some(outcome), 4, "repeated"));
        assert_eq!(Followers::outcome(&[], answer), (Some(outcome), 0, "new"));
    }
}

#[test]
fn an_attempt_counts_from_its_introduction_and_not_from_its_first_hello() {
    let mut followers = Followers::new();
    for gap in [1000, 2500, 4000] {
        assert_ne!(followers.hello(&lookup(1, 1), LookupAnswer::UnknownPeer), "given up");
        followers.wait(gap);
    }
    // The target has connected in the meantime.
    assert_eq!(followers.hello(&lookup(1, 1), LookupAnswer::Introduced), "repeated");
    followers.wait(60_000);
    assert_eq!(followers.settled, [(Some(Outcome::Met), 0)]);
    // The target leaves after the introduction.
    assert_eq!(followers.hello(&lookup(1, 2), LookupAnswer::Introduced), "new");
    followers.wait(1000);
    assert_eq!(followers.hello(&lookup(1, 2), LookupAnswer::UnknownPeer), "repeated");
    followers.wait(60_000);
    assert_eq!(followers.settled[1..], [(Some(Outcome::NotIntroduced(LookupAnswer::UnknownPeer)), 1)]);
}

#[test]
fn hellos_that_come_together_are_one() {
    let mut followers = Followers::new();
    assert_eq!(followers.hello(&lookup(1, 1), LookupAnswer::Introduced), "new");
    for _ in 0..10 {
        followers.wait(30);
        assert_eq!(followers.hello(&lookup(1, 1), LookupAnswer::Introduced), "copy");
    }
    followers.wait(100);
    assert_eq!(followers.hello(&lookup(1, 1), LookupAnswer::Introduced), "repeated");
    // Another tag, another address or another target is another attempt.
    assert_eq!(followers.hello(&lookup(1, 2), LookupAnswer::Introduced), "new");
    assert_eq!(followers.hello(&lookup(2, 1), LookupAnswer::Introduced), "new");
    let other = Lookup { target: Some(PeerId([8; 32])), ..lookup(1, 1) };
    assert_eq!(followers.hello(&other, LookupAnswer::Introduced), "new");
    assert_eq!(followers.attempts.len(), 4);
}

#[test]
fn the_ends_are_those_at_the_introduction() {
    let mut attempts = Attempts::default();
    let now = Instant::now();
    let unknown = || Ends { target_nat: NatKind::Unknown, ..ends() };
    let Followed::New(attempt) = attempts.answered(now, &lookup(1, 1), LookupAnswer::UnknownPeer, true, unknown) else {
        panic!()
    };
    assert_eq!(attempt.ends, unknown());
    let later = now + Duration::from_secs(1);
    let followed = attempts.answered(later, &lookup(1, 1), LookupAnswer::Introduced, true, ends);
    let Followed::Repeated(attempt) = followed else { panic!() };
    assert_eq!((&attempt.ends, attempt.times), (&ends(), 0));
    let never = || panic!("they are known");
    attempts.answered(later + Duration::from_secs(2), &lookup(1, 1), LookupAnswer::Introduced, true, never);
}

#[test]
fn one_network_fills_its_own_share_and_hides_few_attempts_of_others() {
    let mut followers = Followers::new();
    // Tags by the million of one address.
    let followed = (0..1_000_000).filter(|tag| followers.hello(&lookup(1, *tag), LookupAnswer::Introduced) == "new");
    let followed = followed.count();
    assert!(followed <= SHARE as usize * 8 && followed > SHARE as usize * 6, "{followed}");
    assert_eq!(followers.attempts.len(), followed);
    // Each of a thousand others has three attempts under way.
    let others = (2..1002).flat_map(|host| (0..3).map(move |tag| lookup(host, tag)));
    let seen = others.filter(|lookup| followers.hello(lookup, LookupAnswer::Introduced) == "new").count();
    assert!(seen > 3000 * 95 / 100, "{seen}");
    // When the flood is over, so is its effect.
    followers.wait(60_000);
    assert!(followers.attempts.is_empty());
    assert_eq!(followers.settled.len(), followed + seen);
    assert_eq!(followers.hello(&lookup(1, 7), LookupAnswer::Introduced), "new");
}

#[test]
fn a_flood_of_many_networks_fills_the_table_and_nothing_grows() {
    let mut followers = Followers::new();
    let hellos = (0..400_000u32).map(|number| lookup(number % 100_000, number));
    let followed = hellos.filter(|lookup| followers.hello(lookup, LookupAnswer::Denied) == "new").count();
    assert!(followed <= MAX_ATTEMPTS && followed > MAX_ATTEMPTS * 9 / 10, "{followed}");
    assert!(followers.attempts.clients.attempts.capacity() <= 2 * MAX_ATTEMPTS);
    // Strangers have a table of their own: forged hellos take no room of clients.
    let stranger = followers.attempts.answered(followers.now, &lookup(1, 1), LookupAnswer::Denied, false, ends);
    assert!(matches!(stranger, Followed::New(_)));
    followers.wait(60_000);
    assert_eq!((followers.attempts.len(), followers.settled.len()), (0, followed + 1));
    assert!(followers.attempts.clients.attempts.capacity() <= 1024, "the memory is given back");
}

#[test]
fn strangers_fill_their_own_table_alone() {
    let mut attempts = Attempts::default();
    let now = Instant::now();
    for number in 0..100_000u32 {
        attempts.answered(now, &lookup(number, number), LookupAnswer::UnknownPeer, false, ends);
    }
    assert!(attempts.len() <= MAX_STRANGERS && attempts.len() > MAX_STRANGERS * 9 / 10, "{}", attempts.len());
    let client = attempts.answered(now, &lookup(1, 1), LookupAnswer::Introduced, true, ends);
    assert!(matches!(client, Followed::New(_)));
}

#[test]
fn a_sweep_looks_at_a_bounded_number_and_comes_to_all_of_them() {
    let mut followers = Followers::new();
    let full = (0..20_000).filter(|host| followers.hello(&lookup(*host, 1), LookupAnswer::Introduced) == "new").count();
    let first = followers.attempts.next_timeout().unwrap();
    assert_eq!(first, followers.now + SWEEP_PERIOD);
    // Nothing is due yet, and then everything at once.
    followers.wait(6999);
    assert!(followers.settled.is_empty());
    let mut sweeps = 0;
    while let Some(at) = followers.attempts.next_timeout() {
        let before = followers.settled.len();
        followers.now = at;
        followers.attempts.sweep(at, |attempt, outcome| followers.settled.push((outcome, attempt.times)));
        let swept = followers.settled.len() - before;
        assert!(swept <= SWEEP_STEP, "{swept}");
        sweeps += 1;
    }
    assert_eq!((followers.settled.len(), sweeps), (full, full.div_ceil(SWEEP_STEP)));
}

#[test]
fn a_call_that_comes_too_soon_settles_nothing() {
    let mut followers = Followers::new();
    followers.hello(&lookup(1, 1), LookupAnswer::Introduced);
    let (now, mut settled) = (followers.now, 0);
    followers.attempts.sweep(now + SWEEP_PERIOD / 2, |_, _| settled += 1);
    assert_eq!((settled, followers.attempts.next_timeout()), (0, Some(now + SWEEP_PERIOD)));
}

#[test]
fn attempts_are_found_after_others_of_their_table_have_gone() {
    let mut followers = Followers::new();
    for host in 0..500 {
        followers.hello(&lookup(host, 1), LookupAnswer::Introduced);
    }
    followers.wait(4000);
    // The odd ones go on, the even ones are settled.
    for host in (1..500).step_by(2) {
        assert_eq!(followers.hello(&lookup(host, 1), LookupAnswer::Introduced), "repeated", "{host}");
    }
    followers.wait(4000);
    assert_eq!((followers.settled.len(), followers.attempts.len()), (250, 250));
    for host in 0..500 {
        let expected = if host % 2 == 1 { "repeated" } else { "new" };
        assert_eq!(followers.hello(&lookup(host, 1), LookupAnswer::Introduced), expected, "{host}");
    }
}

#[test]
fn hellos_are_numbered_by_attempt_and_copies_have_the_number_of_the_first() {
    let mut followers = Followers::new();
    let heard = |followers: &mut Followers, lookup: &Lookup| followers.attempts.heard(followers.now, lookup, true);
    for (gap, number) in [(0, 1), (30, 1), (970, 2), (100, 2), (2400, 3), (4000, 4)] {
        followers.wait(gap);
        assert_eq!(heard(&mut followers, &lookup(1, 1)), number, "{gap}");
        // A policy answers the first one late, and the others at once.
        if number > 2 {
            followers.hello(&lookup(1, 1), LookupAnswer::Denied);
        }
    }
    // Another tag, another address and another target are other attempts.
    let other = Lookup { target: Some(PeerId([8; 32])), ..lookup(1, 1) };
    for another in [lookup(1, 2), lookup(2, 1), other] {
        assert_eq!(heard(&mut followers, &another), 1);
    }
    // When the attempt is over, its hellos are counted anew.
    followers.wait(120_000);
    assert_eq!((heard(&mut followers, &lookup(1, 1)), followers.attempts.len()), (1, 1));
}

#[test]
fn an_attempt_that_is_never_answered_ends_and_is_not_told_of() {
    let mut followers = Followers::new();
    for _ in 0..5 {
        followers.attempts.heard(followers.now, &lookup(1, 1), true);
        followers.wait(4000);
    }
    assert_eq!(followers.attempts.len(), 1, "it goes on for as long as hellos come");
    followers.wait(120_000);
    assert!(followers.attempts.is_empty() && followers.settled.is_empty());
}

#[test]
fn the_first_answer_begins_the_count_of_repeats_however_many_hellos_came_before() {
    let mut followers = Followers::new();
    for gap in [0, 1000, 2500] {
        followers.wait(gap);
        followers.attempts.heard(followers.now, &lookup(1, 1), true);
    }
    assert_eq!(followers.hello(&lookup(1, 1), LookupAnswer::Introduced), "new");
    followers.wait(60_000);
    assert_eq!(followers.settled, [(Some(Outcome::Met), 0)]);
}

#[test]
fn a_hello_without_room_is_the_first() {
    let mut followers = Followers::new();
    for tag in 0..2000 {
        assert_eq!(followers.attempts.heard(followers.now, &lookup(1, tag), true), 1);
    }
    let followed = followers.attempts.len();
    assert!(followed <= SHARE as usize * 8, "{followed}");
    followers.wait(1000);
    let numbers: Vec<u16> =
        (0..2000).map(|tag| followers.attempts.heard(followers.now, &lookup(1, tag), true)).collect();
    assert_eq!(numbers.iter().filter(|number| **number == 2).count(), followed);
    assert!(numbers.iter().all(|number| (1..=2).contains(number)));
}

#[test]
fn a_hello_without_room_is_followed_when_there_is_room_again() {
    let mut followers = Followers::new();
    let has_none = |tag: &u32| followers.hello(&lookup(1, *tag), LookupAnswer::Introduced) == "no room";
    let tag = (0..10_000).find(has_none).expect("one address has not all the room");
    let hello = lookup(1, tag);
    assert_eq!(followers.hello(&hello, LookupAnswer::Introduced), "no room");
    assert_eq!(followers.attempts.heard(followers.now, &hello, false), 1, "strangers have room of their own");
    assert_eq!(followers.hello(&hello, LookupAnswer::Introduced), "no room");
    followers.wait(120_000);
    assert_eq!(followers.hello(&hello, LookupAnswer::Introduced), "new");
    assert_eq!(followers.hello(&hello, LookupAnswer::Introduced), "copy");
}
