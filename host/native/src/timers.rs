//! Timers of plugins, and the thread that runs them. That thread ends instances too, since a plugin may take its time for both.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use introd_liveness::{BEAT, Pulse};
use parking_lot::{Condvar, Mutex, MutexGuard};

/// The most timers of one instance.
const MAX_TIMERS: usize = 1024;
/// The longest time that a timer may be set for: a longer one is cut off.
const MAX_TIME: Duration = Duration::from_secs(365 * 86_400);
/// How long to wait before looking again at an instance that is to end, or at a timer whose instance is still being made.
const POLL: Duration = Duration::from_millis(20);
/// How long an instance with pending verdicts may still complete them before it ends.
const RETIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// What the thread of the timers calls of an instance.
pub(super) trait TimedInstance: Send + Sync {
    fn on_timer(&self, token: u64, user: u64);

    /// Whether verdicts of it are pending.
    fn has_pending(&self) -> bool;

    /// Ends it. May take its time.
    fn end(&self);
}

/// An instance as its timers know it: they may be started before it is made, and run out when it is gone.
pub(super) struct TimerOwner {
    /// The number of the instance.
    number: u32,
    instance: OnceLock<Weak<dyn TimedInstance>>,
    is_over: AtomicBool,
}

impl TimerOwner {
    pub(super) fn new(number: u32) -> Self {
        Self { number, instance: OnceLock::new(), is_over: AtomicBool::new(false) }
    }

    /// The instance is made: its timers may run out from now on.
    pub(super) fn set_instance(&self, instance: Weak<dyn TimedInstance>) {
        let _ = self.instance.set(instance);
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// The instance has ended.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }
}

/// All timers.
#[derive(Default)]
pub(super) struct Timers {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The timers in the order in which they run out: by time and token.
    due: BTreeMap<(Instant, u64), Timer>,
    /// When each token's timer runs out.
    when: HashMap<u64, Instant>,
    last_token: u64,
    /// Instances that are to end, and until when they may complete what is pending.
    retired: Vec<(Instant, Arc<dyn TimedInstance>)>,
    is_over: bool,
}

struct Timer {
    owner: &'static TimerOwner,
    every: Option<Duration>,
    user: u64,
}

/// What the thread does next.
enum Work {
    Fire(u64, Timer),
    End(Arc<dyn TimedInstance>),
    Finish(Vec<Arc<dyn TimedInstance>>),
}

impl State {
    fn insert(&mut self, at: Instant, token: u64, timer: Timer) {
        self.when.insert(token, at);
        self.due.insert((at, token), timer);
    }
}

impl Timers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Starts a timer and gives its token; `None` if the instance has as many as it may.
    pub(super) fn start(
        &self,
        owner: &'static TimerOwner,
        after: Duration,
        every: Option<Duration>,
        user: u64,
    ) -> Option<u64> {
        let mut state = self.state();
        if state.due.values().filter(|timer| timer.owner.number == owner.number).count() >= MAX_TIMERS {
            return None;
        }
        state.last_token += 1;
        let token = state.last_token;
        let timer = Timer { owner, every: every.map(|every| every.min(MAX_TIME)), user };
        state.insert(Instant::now() + after.min(MAX_TIME), token, timer);
        self.changed.notify_all();
        Some(token)
    }

    /// Stops a timer: true if it was one of the instance of that number.
    pub(super) fn stop(&self, owner: u32, token: u64) -> bool {
        let mut state = self.state();
        let Some(at) = state.when.get(&token).copied() else { return false };
        if state.due.get(&(at, token)).is_none_or(|timer| timer.owner.number != owner) {
            return false;
        }
        state.when.remove(&token);
        state.due.remove(&(at, token)).is_some()
    }

    /// Stops all timers of an instance.
    pub(super) fn stop_all(&self, owner: u32) {
        let state = &mut *self.state();
        let stopped: Vec<_> = state.due.extract_if(.., |_, timer| timer.owner.number == owner).collect();
        for ((_, token), _) in stopped {
            state.when.remove(&token);
        }
    }

    /// Ends an instance as soon as nothing else uses it.
    pub(super) fn retire(&self, instance: Arc<dyn TimedInstance>) {
        self.state().retired.push((Instant::now() + RETIRE_TIMEOUT, instance));
        self.changed.notify_all();
    }

    /// Makes [`Self::run`] return.
    pub(super) fn finish(&self) {
        self.state().is_over = true;
        self.changed.notify_all();
    }

    /// All timers: their tokens and periods.
    #[cfg(test)]
    pub(super) fn all(&self) -> Vec<(u64, Option<Duration>)> {
        self.state().due.iter().map(|((_, token), timer)| (*token, timer.every)).collect()
    }

    /// Runs timers and ends instances until [`Self::finish`] is called.
    pub(super) fn run(&self, pulse: &Pulse) {
        loop {
            match self.next(pulse) {
                Work::Fire(token, timer) => self.fire(token, timer),
                Work::End(instance) => instance.end(),
                Work::Finish(instances) => {
                    instances.iter().for_each(|instance| instance.end());
                    return;
                }
            }
        }
    }

    fn next(&self, pulse: &Pulse) -> Work {
        let mut state = self.state();
        loop {
            pulse.beat();
            if state.is_over {
                return Work::Finish(state.retired.drain(..).map(|(_, instance)| instance).collect());
            }
            let now = Instant::now();
            let is_unused = |(until, instance): &(Instant, Arc<dyn TimedInstance>)| {
                Arc::strong_count(instance) == 1 && (now >= *until || !instance.has_pending())
            };
            if let Some(place) = state.retired.iter().position(is_unused) {
                return Work::End(state.retired.swap_remove(place).1);
            }
            let due = state.due.first_key_value().map(|(key, _)| *key);
            if let Some((at, token)) = due
                && at <= now
                && let Some((_, timer)) = state.due.pop_first()
            {
                match timer.every {
                    // A thread that is behind does not run the timer many times at once.
                    Some(every) => state.insert((at + every).max(now), token, Timer { ..timer }),
                    None => drop(state.when.remove(&token)),
                }
                return Work::Fire(token, timer);
            }
            let poll = (!state.retired.is_empty()).then_some(POLL);
            let wait = [due.map(|(at, _)| at - now), poll].into_iter().flatten().min().unwrap_or(BEAT).min(BEAT);
            self.changed.wait_for(&mut state, wait);
        }
    }

    fn fire(&self, token: u64, timer: Timer) {
        match timer.owner.instance.get() {
            Some(instance) => {
                if let Some(instance) = instance.upgrade() {
                    instance.on_timer(token, timer.user);
                }
            }
            // A plugin may start a timer while its instance is being made: the timer waits until the instance is there.
            None if timer.every.is_none() && !timer.owner.is_over() => {
                self.state().insert(Instant::now() + POLL, token, timer);
            }
            None => (),
        }
    }
}

#[cfg(test)]
mod tests {
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
        timers.fire(1, timer(early, None));
        failed.end();
        timers.fire(2, timer(failed, None));
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
}
