//! Watches for scripts that hang: in a place that no limit reaches, they would take the other scripts of their thread with them
//! unnoticed.

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

    /// Does something with each instance.
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

    /// Looks after the instances: what they have not answered in time is answered for them. A script may run for the time of its
    /// settings, and for `stuck_after` beyond that; gives back one that has run for longer, and how much longer.
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
                            tracing::error!(%app, "the script hangs; others answer for it");
                        } else {
                            tracing::error!(%app, %busy, "the script is held up by one that hangs; others answer for it");
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

/// How long a script has run beyond what it may.
fn overdue(shared: &Shared, now: Instant, stuck_after: Duration) -> Option<Duration> {
    // Each handler is marked anew.
    let limit = shared.settings.load().script.time.unwrap_or_default().saturating_add(stuck_after);
    shared.busy_since().and_then(|since| now.saturating_duration_since(since).checked_sub(limit))
}
