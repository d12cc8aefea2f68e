//! Watches for scripts that hang where no limit stops them: they would hold up the other scripts of their thread unnoticed.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::shared::{ScriptState, Shared};

/// One thread's instances.
#[derive(Default)]
pub(crate) struct Watched {
    instances: Vec<Weak<Shared>>,
}

impl Watched {
    pub(crate) fn add(&mut self, shared: &Arc<Shared>) {
        self.instances.retain(|known| known.strong_count() > 0);
        self.instances.push(Arc::downgrade(shared));
    }

    /// Calls `work` with each instance.
    pub(crate) fn each(&self, work: impl FnMut(Arc<Shared>)) {
        self.instances.iter().filter_map(Weak::upgrade).for_each(work);
    }

    /// How many instances there are.
    pub(crate) fn len(&self) -> usize {
        self.instances.iter().filter(|known| known.strong_count() > 0).count()
    }

    /// Whether a script hangs there.
    pub(crate) fn is_stuck(&self) -> bool {
        self.instances.iter().filter_map(Weak::upgrade).any(|shared| shared.state() == ScriptState::Wedged)
    }

    /// Checks the instances. A script may run for the time of its settings, and for `stuck_after` beyond that; if one has run for longer,
    /// open requests of the whole thread fail. Gives back that script, and how much longer it has run.
    pub(crate) fn look(&self, now: Instant, stuck_after: Duration) -> Option<(Arc<Shared>, Duration)> {
        let instances: Vec<Arc<Shared>> = self.instances.iter().filter_map(Weak::upgrade).collect();
        let stuck = instances.iter().find_map(|shared| Some((shared, overdue(shared, now, stuck_after)?)));
        for shared in &instances {
            match stuck.map(|(culprit, _)| culprit) {
                Some(culprit) => {
                    let was_well = shared.change_state(ScriptState::Running, ScriptState::Wedged)
                        || shared.change_state(ScriptState::Starting, ScriptState::Wedged);
                    if was_well {
                        let (app, busy) = (&shared.name, &culprit.name);
                        if Arc::ptr_eq(shared, culprit) {
                            tracing::error!(%app, "the script hangs: its requests fail until it runs again");
                        } else {
                            tracing::error!(%app, %busy, "another script of the same thread hangs and holds this one up: its requests fail until it runs again");
                        }
                    }
                    if shared.state() == ScriptState::Wedged {
                        shared.answer_for_script();
                    }
                }
                None => {
                    if shared.change_state(ScriptState::Wedged, ScriptState::Running) {
                        tracing::warn!(app = %shared.name, "the script runs again");
                    }
                }
            }
        }
        stuck.map(|(culprit, overdue)| (Arc::clone(culprit), overdue))
    }
}

/// How long a script has run beyond the limit.
fn overdue(shared: &Shared, now: Instant, stuck_after: Duration) -> Option<Duration> {
    // Each handler begins anew.
    let limit = shared.settings.load().script.time.unwrap_or_default().saturating_add(stuck_after);
    shared.busy_since().and_then(|since| now.saturating_duration_since(since).checked_sub(limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::memory::Memory;
    use crate::tests::Sink;

    /// What a handler may take, and how much longer it may.
    const TIME: Duration = Duration::from_secs(3);
    const STUCK: Duration = Duration::from_secs(2);
    const MS: Duration = Duration::from_millis(1);

    fn instance(commands: &Arc<Sink>) -> Arc<Shared> {
        let mut settings = crate::testing::settings();
        settings.script.time = Some(TIME);
        let (name, queue) = (crate::tests::instance_name("app"), Arc::default());
        Arc::new(Shared::new(
            name,
            "/nonexistent".into(),
            Arc::new(settings),
            commands.clone(),
            queue,
            Memory::default(),
        ))
    }

    fn asks(shared: &Arc<Shared>) {
        let lookup = crate::tests::a_lookup();
        shared.inbox.push(lookup, |event| shared.requests.admit(event)).unwrap();
    }

    #[test]
    fn a_script_hangs_when_it_has_run_beyond_its_own_time_and_holds_up_all_of_its_thread() {
        let commands = Arc::new(Sink::default());
        let (culprit, other, starting) = (instance(&commands), instance(&commands), instance(&commands));
        culprit.set_state(ScriptState::Running);
        other.set_state(ScriptState::Running);
        let mut watched = Watched::default();
        [&culprit, &other, &starting].into_iter().for_each(|shared| watched.add(shared));
        let began = Instant::now();
        assert!(watched.look(began + 10 * TIME, STUCK).is_none(), "nothing runs");
        culprit.set_busy(Some(began));
        [&culprit, &other].into_iter().for_each(asks);
        // A moment of grace for the rounding of the clock.
        assert!(watched.look(began + TIME + STUCK - MS, STUCK).is_none());
        assert_eq!((commands.failed(), watched.is_stuck()), (0, false));
        let (stuck, overdue) = watched.look(began + TIME + STUCK + 10 * MS, STUCK).unwrap();
        assert!(Arc::ptr_eq(&stuck, &culprit) && overdue >= 9 * MS && overdue <= 11 * MS, "{overdue:?}");
        let states = |states: [&Arc<Shared>; 3]| states.map(|shared| shared.state());
        assert_eq!(states([&culprit, &other, &starting]), [ScriptState::Wedged; 3]);
        assert_eq!((commands.failed(), watched.is_stuck()), (2, true), "what waits is answered");
        // What has come in since is answered as well.
        asks(&other);
        assert!(watched.look(began + 2 * (TIME + STUCK), STUCK).is_some());
        assert_eq!(commands.failed(), 3);
        culprit.set_busy(None);
        other.set_state(ScriptState::Stopped);
        assert!(watched.look(began + 3 * (TIME + STUCK), STUCK).is_none());
        assert_eq!(culprit.state(), ScriptState::Running);
        assert_eq!(other.state(), ScriptState::Stopped, "what has ended does not run again");
        assert!(!watched.is_stuck());
    }

    #[test]
    fn instances_that_are_gone_are_watched_no_more() {
        let (commands, mut watched) = (Arc::new(Sink::default()), Watched::default());
        for _ in 0..10 {
            watched.add(&instance(&commands));
        }
        assert_eq!((watched.len(), watched.instances.len()), (0, 1));
        let there = instance(&commands);
        watched.add(&there);
        assert_eq!((watched.len(), watched.instances.len()), (1, 1));
    }
}
