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
