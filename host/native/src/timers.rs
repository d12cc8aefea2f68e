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
            let wait = wait_time(due.map(|(at, _)| at - now), state.retired.len());
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

/// How long the thread waits if the next timer is due in that time and so many instances are to end.
fn wait_time(due: Option<Duration>, retired: usize) -> Duration {
    let poll = (retired > 0).then_some(POLL);
    [due, poll].into_iter().flatten().min().unwrap_or(BEAT).min(BEAT)
}

#[cfg(test)]
mod tests;
