//! Timers of plugins, and the thread that they run on. It ends instances, too, which may take its time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::context::Context;
use super::instance::Instance;
use introd_liveness::{BEAT, Pulse};

/// The most timers of one instance.
const MOST: usize = 1024;
/// The longest that a timer may be set for: what is longer is cut off.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);
/// How often an instance that is to end is looked at.
const RETIRE_POLL: Duration = Duration::from_millis(20);
/// An instance that has pending verdicts may complete them for so long.
const RETIRE_PATIENCE: Duration = Duration::from_secs(30);

/// All timers.
#[derive(Default)]
pub(super) struct Timers {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// When, and which.
    due: BTreeMap<(Instant, u64), Timer>,
    /// When each is due.
    when: HashMap<u64, Instant>,
    last: u64,
    /// Instances that are to end, and until when they may go on.
    retired: Vec<(Instant, Arc<Instance>)>,
    is_over: bool,
}

struct Timer {
    context: &'static Context,
    every: Option<Duration>,
    user: u64,
}

/// What there is to do.
enum Work {
    Fire(u64, Timer),
    End(Arc<Instance>),
    Over(Vec<Arc<Instance>>),
}

impl Timers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn start(
        &self,
        context: &'static Context,
        after: Duration,
        every: Option<Duration>,
        user: u64,
    ) -> Option<u64> {
        let mut state = self.state();
        if state.due.values().filter(|timer| timer.context.owner == context.owner).count() >= MOST {
            return None;
        }
        state.last += 1;
        let (token, at) = (state.last, Instant::now() + after.min(LONGEST));
        state.when.insert(token, at);
        state.due.insert((at, token), Timer { context, every: every.map(|every| every.min(LONGEST)), user });
        self.changed.notify_all();
        Some(token)
    }

    pub(super) fn stop(&self, owner: u32, token: u64) -> bool {
        let mut state = self.state();
        let Some(at) = state.when.get(&token).copied() else { return false };
        if state.due.get(&(at, token)).is_none_or(|timer| timer.context.owner != owner) {
            return false;
        }
        state.when.remove(&token);
        state.due.remove(&(at, token)).is_some()
    }

    /// Stops all timers of an instance.
    pub(super) fn end(&self, owner: u32) {
        let state = &mut *self.state();
        let gone: Vec<_> = state.due.extract_if(.., |_, timer| timer.context.owner == owner).collect();
        for ((_, token), _) in gone {
            state.when.remove(&token);
        }
    }

    /// Ends an instance as soon as nobody uses it any more.
    pub(super) fn retire(&self, instance: Arc<Instance>) {
        self.state().retired.push((Instant::now() + RETIRE_PATIENCE, instance));
        self.changed.notify_all();
    }

    /// Has [`Self::run`] end.
    pub(super) fn finish(&self) {
        self.state().is_over = true;
        self.changed.notify_all();
    }

    /// Runs timers, and ends instances, until told to finish.
    pub(super) fn run(&self, pulse: &Pulse) {
        loop {
            match self.next(pulse) {
                Work::Fire(token, timer) => fire(token, &timer),
                Work::End(instance) => instance.end(),
                Work::Over(instances) => {
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
                return Work::Over(state.retired.drain(..).map(|(_, instance)| instance).collect());
            }
            let now = Instant::now();
            let is_unused = |(until, instance): &(Instant, Arc<Instance>)| {
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
                let again = timer.every.map(|every| {
                    // Behind time, it does not run out many times at once.
                    let at = (at + every).max(now);
                    state.when.insert(token, at);
                    state.due.insert((at, token), Timer { ..timer });
                });
                if again.is_none() {
                    state.when.remove(&token);
                }
                return Work::Fire(token, timer);
            }
            let poll = (!state.retired.is_empty()).then_some(RETIRE_POLL);
            let wait = [due.map(|(at, _)| at - now), poll].into_iter().flatten().min().unwrap_or(BEAT).min(BEAT);
            state = self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn fire(token: u64, timer: &Timer) {
    // One that a plugin starts while it is being made waits until it is.
    let Some(instance) = timer.context.instance.get() else {
        timer.context.shared.timers.again(token, timer);
        return;
    };
    if let Some(instance) = instance.upgrade() {
        instance.on_timer(token, timer.user);
    }
}

impl Timers {
    /// Puts a timer back that ran out too early.
    fn again(&self, token: u64, timer: &Timer) {
        let mut state = self.state();
        if timer.every.is_some() || timer.context.is_over() {
            return;
        }
        let at = Instant::now() + RETIRE_POLL;
        state.when.insert(token, at);
        state.due.insert((at, token), Timer { context: timer.context, every: None, user: timer.user });
    }
}
