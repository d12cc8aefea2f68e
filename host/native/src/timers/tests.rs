use std::sync::atomic::AtomicUsize;

use super::*;

const NONE: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3600);

/// An instance that counts, and has pending verdicts while it is told so.
#[derive(Default)]
struct Fake {
    fired: Mutex<Vec<(u64, u64)>>,
    ended: AtomicUsize,
    pending: AtomicBool,
}

impl TimedInstance for Fake {
    fn on_timer(&self, token: u64, user: u64) {
        self.fired.lock().push((token, user));
    }

    fn has_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}

fn owner(number: u32) -> &'static TimerOwner {
    Box::leak(Box::new(TimerOwner::new(number)))
}

fn fired(work: Work) -> u64 {
    match work {
        Work::Fire(token, _) => token,
        Work::End(_) | Work::Finish(_) => panic!("no timer"),
    }
}

#[test]
fn each_instance_has_a_bounded_number_of_timers_of_its_own() {
    let (timers, first, second) = (Timers::default(), owner(1), owner(2));
    let tokens: Vec<u64> = (0..MAX_TIMERS).map(|_| timers.start(first, HOUR, None, 0).unwrap()).collect();
    assert_eq!(timers.start(first, HOUR, None, 0), None);
    let other = timers.start(second, HOUR, None, 0).unwrap();
    assert!(!timers.stop(2, tokens[0]) && timers.stop(1, tokens[0]) && !timers.stop(1, tokens[0]));
    assert!(timers.start(first, HOUR, None, 0).is_some() && timers.start(first, HOUR, None, 0).is_none());
    timers.stop_all(1);
    let state = timers.state();
    assert_eq!((state.due.len(), state.when.len()), (1, 1), "that of the other instance");
    drop(state);
    assert!(timers.stop(2, other));
}

#[test]
fn a_timer_fires_in_its_time_and_catches_up_with_nothing() {
    let (timers, pulse, owner) = (Timers::default(), Pulse::unwatched(), owner(1));
    timers.start(owner, Duration::MAX, Some(Duration::MAX), 0).unwrap();
    let late = timers.start(owner, HOUR, None, 0).unwrap();
    let once = timers.start(owner, NONE, None, 0).unwrap();
    assert_eq!(fired(timers.next(&pulse)), once);
    assert!(!timers.stop(1, once), "it has fired");
    assert_eq!(timers.state().when.len(), 2);
    let often = timers.start(owner, NONE, Some(Duration::MAX), 0).unwrap();
    assert_eq!(fired(timers.next(&pulse)), often);
    assert!(timers.stop(1, often));
    let due = timers.state().due.first_key_value().map(|((_, token), _)| *token);
    assert_eq!(due, Some(late), "the others wait");
    // One that should have fired a hundred times by now fires once, and then in its period.
    let before = Instant::now();
    let timer = Timer { owner, every: Some(HOUR / 100), user: 0 };
    timers.state().insert(before.checked_sub(HOUR).unwrap(), 99, timer);
    assert_eq!(fired(timers.next(&pulse)), 99);
    assert!(timers.state().due.first_key_value().is_some_and(|((at, token), _)| *token == 99 && *at >= before));
    assert!(timers.stop(1, 99));
}

#[test]
fn a_timer_is_not_due_before_its_time() {
    let (timers, pulse) = (Timers::default(), Pulse::unwatched());
    timers.start(owner(1), POLL, None, 0).unwrap();
    let at = *timers.state().due.first_key_value().unwrap().0;
    fired(timers.next(&pulse));
    assert!(Instant::now() >= at.0);
}

#[test]
fn a_timer_waits_for_its_instance_to_be_made_unless_that_has_failed() {
    let timers = Timers::default();
    let timer = |owner, every| Timer { owner, every, user: 7 };
    let (early, failed, made) = (owner(1), owner(2), owner(3));
    let before = Instant::now();
    timers.fire(1, timer(early, None));
    assert!(timers.state().due.first_key_value().is_some_and(|((at, _), _)| *at >= before + POLL), "it waits");
    failed.end();
    timers.fire(2, timer(failed, None));
    // One that repeats is in its place for the next time already.
    timers.fire(4, timer(early, Some(HOUR)));
    timers.fire(5, timer(failed, Some(HOUR)));
    assert_eq!(timers.state().due.values().map(|timer| timer.owner.number).collect::<Vec<_>>(), [1]);
    let fake = Arc::new(Fake::default());
    let weak: Weak<dyn TimedInstance> = Arc::<Fake>::downgrade(&fake);
    made.set_instance(weak);
    timers.fire(3, timer(made, None));
    assert_eq!(*fake.fired.lock(), [(3, 7)]);
    drop(fake);
    timers.fire(3, timer(made, None));
}

#[test]
fn an_instance_ends_when_nobody_uses_it_and_its_verdicts_have_come_or_are_late() {
    let (timers, pulse) = (Timers::default(), Pulse::unwatched());
    let (used, pending, free) = (Arc::new(Fake::default()), Arc::new(Fake::default()), Arc::new(Fake::default()));
    pending.pending.store(true, Ordering::Relaxed);
    let [of_pending, of_free] = [Arc::downgrade(&pending), Arc::downgrade(&free)];
    timers.retire(used.clone());
    timers.retire(pending);
    timers.retire(free);
    let ends = |expected: &Weak<Fake>| {
        let Work::End(instance) = timers.next(&pulse) else { panic!("none ends") };
        std::ptr::addr_eq(Arc::as_ptr(&instance), expected.as_ptr())
    };
    assert!(ends(&of_free));
    // Its verdicts are late.
    let late = |state: &mut State| {
        let entry = state.retired.iter_mut().find(|(_, instance)| instance.has_pending()).unwrap();
        std::mem::replace(&mut entry.0, Instant::now())
    };
    assert!(late(&mut timers.state()) > Instant::now() + RETIRE_TIMEOUT / 2);
    assert!(ends(&of_pending));
    assert_eq!(timers.state().retired.len(), 1);
    // At the end of the server nothing is waited for.
    timers.finish();
    timers.run(&pulse);
    assert_eq!(used.ended.load(Ordering::Relaxed), 1);
}

#[test]
fn the_time_of_a_timer_is_cut_off_at_a_year() {
    let (timers, owner) = (Timers::default(), owner(1));
    let before = Instant::now();
    timers.start(owner, 2 * MAX_TIME, Some(2 * MAX_TIME), 0).unwrap();
    let state = timers.state();
    let ((at, _), timer) = state.due.first_key_value().unwrap();
    assert!(*at >= before + MAX_TIME && *at <= Instant::now() + MAX_TIME);
    assert_eq!((timer.every, MAX_TIME), (Some(MAX_TIME), 365 * 24 * HOUR));
}

#[test]
fn the_thread_wakes_for_the_next_timer_and_looks_often_while_an_instance_is_to_end() {
    let second = Duration::from_secs(1);
    assert_eq!(BEAT, second);
    assert_eq!([None, Some(HOUR), Some(POLL * 2)].map(|due| wait_time(due, 0)), [BEAT, BEAT, POLL * 2]);
    assert_eq!([None, Some(HOUR), Some(POLL / 2)].map(|due| wait_time(due, 1)), [POLL, POLL, POLL / 2]);
}

#[test]
fn the_thread_runs_timers_and_ends_instances_until_it_is_to_finish() {
    let (timers, pulse) = (Timers::default(), Pulse::unwatched());
    let [timed, retired] = [0; 2].map(|_| Arc::new(Fake::default()));
    let owner = owner(1);
    owner.set_instance(Arc::<Fake>::downgrade(&timed));
    let last = timers.start(owner, Duration::from_millis(1), None, 7).unwrap();
    timers.retire(Arc::clone(&retired) as Arc<dyn TimedInstance>);
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| timers.run(&pulse));
        while timed.fired.lock().is_empty() {
            std::thread::yield_now();
        }
        assert!(!thread.is_finished() && retired.ended.load(Ordering::Relaxed) == 0);
        // The last use of it.
        let ended = Arc::downgrade(&retired);
        drop(retired);
        while ended.upgrade().is_some() {
            std::thread::yield_now();
        }
        timers.finish();
    });
    assert_eq!((&*timed.fired.lock(), timed.ended.load(Ordering::Relaxed)), (&vec![(last, 7)], 0));
}

#[test]
fn a_timer_that_repeats_is_due_a_period_after_it_was() {
    let (timers, pulse, start) = (Timers::default(), Pulse::unwatched(), Instant::now());
    timers.state().insert(start, 7, Timer { owner: owner(1), every: Some(HOUR), user: 0 });
    assert_eq!(fired(timers.next(&pulse)), 7);
    assert_eq!(timers.state().due.keys().copied().collect::<Vec<_>>(), [(start + HOUR, 7)]);
}
