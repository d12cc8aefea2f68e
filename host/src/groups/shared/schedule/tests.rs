use super::*;

const DIGEST: GroupDigest = GroupDigest([9; 32]);
const MILLISECOND: Duration = Duration::from_millis(1);

/// The peers' second bytes are 0, so that nothing is spread.
fn member(number: u32) -> MemberId {
    let mut peer = [0; 32];
    peer[28..].copy_from_slice(&number.to_be_bytes());
    MemberId { key: GroupKey([1; 32]), peer: PeerId(peer) }
}

fn session(number: u32) -> Option<SessionId> {
    Some(SessionId::from_wire(number))
}

/// The steps that are due at a time, of which none is answered but the writes, which succeed.
fn steps(schedule: &mut Schedule, now: Instant) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some(step) = schedule.next(now) {
        match step {
            Step::Publish(id) => schedule.published(now, id, true),
            Step::Withdraw(id) => schedule.withdrawn(now, id, true),
            Step::Ask(_) => (),
        }
        steps.push(step);
    }
    steps
}

/// A member that has joined and whose query is under way.
fn asking(now: Instant) -> (Schedule, MemberId) {
    let (mut schedule, id) = (Schedule::new(now), member(1));
    schedule.set(now, id, DIGEST, session(1));
    assert_eq!(steps(&mut schedule, now), [Step::Publish(id), Step::Ask(id)], "it is there before it asks");
    (schedule, id)
}

#[test]
fn a_member_is_published_and_asks_once_and_again_after_a_while() {
    let now = Instant::now();
    let (mut schedule, id) = asking(now);
    schedule.set(now, id, DIGEST, session(1));
    assert_eq!((steps(&mut schedule, now), schedule.next_time()), (vec![], None), "nothing but the answer is awaited");
    assert_eq!(schedule.answered(now, id, true), session(1).map(|session| (DIGEST, session)));
    schedule.set(now, id, DIGEST, session(1));
    assert_eq!(schedule.next_time(), Some(now + SWEEP));
    assert_eq!(steps(&mut schedule, now + SWEEP - MILLISECOND), []);
    assert_eq!(steps(&mut schedule, now + SWEEP), [Step::Ask(id)], "it is published already");
    assert_eq!(schedule.sizes(), (1, 1));
}

#[test]
fn a_query_that_fails_is_repeated_ever_later_until_it_is_answered() {
    let mut now = Instant::now();
    let (mut schedule, id) = asking(now);
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        schedule.answered(now, id, false);
        let wait = Duration::from_secs(seconds);
        assert_eq!(schedule.next_time(), Some(now + wait));
        assert_eq!(steps(&mut schedule, now + wait - MILLISECOND), []);
        now += wait;
        assert_eq!(steps(&mut schedule, now), [Step::Ask(id)]);
    }
    schedule.answered(now, id, true);
    now += SWEEP;
    assert_eq!(steps(&mut schedule, now), [Step::Ask(id)]);
    schedule.answered(now, id, false);
    assert_eq!(schedule.next_time(), Some(now + BACKOFF), "the failures before do not count");
}

#[test]
fn a_publication_that_fails_is_repeated_before_the_member_asks() {
    let mut now = Instant::now();
    let (mut schedule, id) = (Schedule::new(now), member(1));
    schedule.set(now, id, DIGEST, session(1));
    for seconds in [1, 2, 4] {
        assert_eq!(schedule.next(now), Some(Step::Publish(id)));
        schedule.published(now, id, false);
        assert_eq!(steps(&mut schedule, now + Duration::from_secs(seconds) - MILLISECOND), []);
        now += Duration::from_secs(seconds);
    }
    assert_eq!(steps(&mut schedule, now), [Step::Publish(id), Step::Ask(id)]);
    schedule.answered(now, id, false);
    assert_eq!(schedule.next_time(), Some(now + BACKOFF));
}

#[test]
fn members_that_fail_together_come_back_spread_over_a_quarter_of_the_time() {
    let spread = |second: u8| {
        let mut id = member(1);
        id.peer.0[1] = second;
        backoff(id, 7)
    };
    assert_eq!((spread(0), spread(255)), (MAX_BACKOFF, MAX_BACKOFF * 3 / 4));
    assert!(spread(100) < spread(0) && spread(100) > spread(255));
    assert_eq!(backoff(member(1), u32::MAX), MAX_BACKOFF);
}

#[test]
fn a_member_that_leaves_is_withdrawn_and_forgotten() {
    let now = Instant::now();
    // Before it was published: what has changed in between is not done at all.
    let (mut schedule, id) = (Schedule::new(now), member(1));
    schedule.set(now, id, DIGEST, None);
    assert_eq!((steps(&mut schedule, now), schedule.sizes()), (vec![], (0, 0)), "it is not known");
    // While it asks: when the answer is there, which is for nobody.
    let (mut schedule, id) = asking(now);
    schedule.set(now, id, DIGEST, None);
    assert_eq!(steps(&mut schedule, now), []);
    assert_eq!(schedule.answered(now, id, true), None);
    assert_eq!((steps(&mut schedule, now), schedule.sizes()), (vec![Step::Withdraw(id)], (0, 0)));
    assert_eq!(schedule.next_time(), None);
    // While it waits to ask again.
    for is_done in [true, false] {
        let (mut schedule, id) = asking(now);
        schedule.answered(now, id, is_done);
        schedule.set(now, id, DIGEST, None);
        assert_eq!((steps(&mut schedule, now), schedule.sizes()), (vec![Step::Withdraw(id)], (0, 0)));
        assert_eq!(schedule.next_time(), None, "nothing is left in a queue");
    }
}

#[test]
fn a_withdrawal_that_fails_is_tried_a_few_times_and_then_forgotten() {
    let mut now = Instant::now();
    let (mut schedule, id) = asking(now);
    schedule.answered(now, id, true);
    schedule.set(now, id, DIGEST, None);
    for attempt in 1..=MAX_WITHDRAWALS {
        assert_eq!(schedule.next(now), Some(Step::Withdraw(id)));
        schedule.withdrawn(now, id, false);
        assert_eq!(schedule.sizes().0, usize::from(attempt < MAX_WITHDRAWALS));
        now += MAX_BACKOFF;
    }
    // One that was never taken in is nowhere.
    schedule.set(now, id, DIGEST, session(1));
    assert_eq!(schedule.next(now), Some(Step::Publish(id)));
    schedule.published(now, id, false);
    schedule.set(now, id, DIGEST, None);
    assert_eq!(schedule.next(now), Some(Step::Withdraw(id)));
    schedule.withdrawn(now, id, false);
    assert_eq!(schedule.sizes().0, 0);
}

#[test]
fn joins_and_leaves_that_come_together_are_one_change() {
    let now = Instant::now();
    let (mut schedule, id) = (Schedule::new(now), member(1));
    for number in 1..=100 {
        schedule.set(now, id, DIGEST, session(number));
        schedule.set(now, id, DIGEST, None);
    }
    schedule.set(now, id, DIGEST, session(101));
    assert_eq!(steps(&mut schedule, now), [Step::Publish(id), Step::Ask(id)]);
    assert_eq!(schedule.answered(now, id, true), session(101).map(|session| (DIGEST, session)));
}

#[test]
fn another_session_of_a_member_asks_again_and_is_told() {
    let now = Instant::now();
    let (mut schedule, id) = asking(now);
    schedule.set(now, id, DIGEST, session(2));
    assert_eq!(steps(&mut schedule, now), [], "one query at a time");
    assert_eq!(schedule.answered(now, id, true), session(2).map(|session| (DIGEST, session)));
    assert_eq!(steps(&mut schedule, now), [Step::Ask(id)]);
    schedule.answered(now, id, true);
    schedule.set(now, id, DIGEST, session(3));
    assert_eq!(steps(&mut schedule, now), [Step::Ask(id)]);
    // One that left and came back while a query was under way stays published.
    schedule.set(now, id, DIGEST, None);
    schedule.set(now, id, DIGEST, session(4));
    assert_eq!(schedule.answered(now, id, false), session(4).map(|session| (DIGEST, session)));
    assert_eq!(steps(&mut schedule, now), [Step::Ask(id)]);
}

#[test]
fn a_storm_of_joins_is_published_at_once_and_asks_a_bounded_number_at_a_time() {
    let now = Instant::now();
    let mut schedule = Schedule::new(now);
    for number in 0..1000 {
        schedule.set(now, member(number), DIGEST, session(number + 1));
    }
    let done = steps(&mut schedule, now);
    let count = |of: fn(&Step) -> bool| done.iter().filter(|step| of(step)).count();
    assert_eq!(count(|step| matches!(step, Step::Publish(_))), 1000);
    assert_eq!(count(|step| matches!(step, Step::Ask(_))), MAX_ASKING);
    assert_eq!((schedule.sizes(), schedule.next_time()), ((1000, MAX_ASKING), None), "answers are awaited");
    // Whatever is asked, a leave is not held up.
    schedule.set(now, member(999), DIGEST, None);
    assert_eq!(steps(&mut schedule, now), [Step::Withdraw(member(999))]);
    let mut asked: Vec<_> = done.into_iter().filter(|step| matches!(step, Step::Ask(_))).collect();
    let mut at = 0;
    while let Some(Step::Ask(id)) = asked.get(at).copied() {
        schedule.answered(now, id, true);
        let next = steps(&mut schedule, now);
        assert!(next.len() <= 1, "one for each answer: {next:?}");
        asked.extend(next);
        at += 1;
    }
    assert_eq!((asked.len(), schedule.sizes()), (999, (999, 0)), "each asks once");
}

#[test]
fn members_ask_again_at_a_bounded_rate_and_none_is_forgotten() {
    let mut now = Instant::now();
    let mut schedule = Schedule::new(now);
    for number in 0..200 {
        schedule.set(now, member(number), DIGEST, session(number + 1));
    }
    while let Some(step) = schedule.next(now) {
        match step {
            Step::Ask(id) => _ = schedule.answered(now, id, true),
            Step::Publish(id) => schedule.published(now, id, true),
            Step::Withdraw(_) => panic!("nobody leaves"),
        }
    }
    now += SWEEP;
    let mut asked = BTreeSet::new();
    for second in 0..4 {
        let until = now + Duration::from_secs(1);
        while let Some(at) = schedule.next_time().filter(|at| *at < until) {
            now = now.max(at);
            let Some(Step::Ask(id)) = schedule.next(now) else { panic!("it is due") };
            assert_eq!(schedule.next(now), None, "one at a time");
            schedule.answered(now, id, true);
            asked.insert(id);
        }
        now = until;
        assert_eq!(asked.len(), 50 * (second + 1));
    }
    // A newcomer does not wait for them.
    schedule.set(now, member(500), DIGEST, session(1));
    assert_eq!(steps(&mut schedule, now), [Step::Publish(member(500)), Step::Ask(member(500))]);
}
