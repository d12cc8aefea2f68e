//! An instance, as the server sees it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::inbox::Full;
use super::shared::{CLOSED, NO_ANSWER, ScriptState, Shared};
use crate::engine::failure::Failure;
use crate::instance::open_requests::Answer;
use introd_config::Application;
use introd_policy::message::AppEvent;
use introd_policy::{AppActor, KnownClient, LoggedError, PublishedMember, RequestId};

/// Leads to an instance.
#[derive(Clone)]
pub struct ScriptHandle(pub(crate) Arc<Shared>);

impl ScriptHandle {
    /// Passes an event to the instance. If its script cannot decide, an event that waits for an answer is answered at once: it fails if
    /// the script hangs, and finds the application closed if the script does not load or has ended.
    ///
    /// # Errors
    /// If too many events wait. An event that ends something is always taken.
    pub fn try_send(&self, event: AppEvent) -> Result<(), Full> {
        let result = self.put(event);
        self.0.wake();
        result
    }

    /// As [`Self::try_send`], for an instance that is woken later.
    fn put(&self, event: AppEvent) -> Result<(), Full> {
        let shared = &*self.0;
        if matches!(event, AppEvent::Stop) {
            shared.is_ending.store(true, Ordering::Release);
        }
        let is_running = || matches!(shared.state(), ScriptState::Starting | ScriptState::Running);
        match shared.state() {
            ScriptState::Starting | ScriptState::Running => {
                shared.inbox.push(event, |event| shared.requests.admit(event))?;
                // The instance may have stopped meanwhile, and then no thread reads its inbox.
                if !is_running() {
                    shared.answer_for_script();
                }
                Ok(())
            }
            _ if matches!(event, AppEvent::Reload | AppEvent::Stop) => {
                shared.inbox.push(event, |event| shared.requests.admit(event))
            }
            ScriptState::Wedged if !waits_for_answer(&event) => {
                shared.inbox.push(event, |event| shared.requests.admit(event))
            }
            ScriptState::Wedged | ScriptState::Failed | ScriptState::Stopped => {
                // A script that does not run is not told, but its successor has to know the clients.
                shared.ledger.note(&event);
                let answer = match shared.state() {
                    ScriptState::Failed | ScriptState::Stopped => Answer::closed_event(event, CLOSED),
                    _ => Answer::not_asked(event, NO_ANSWER),
                };
                if let Some(answer) = answer {
                    shared.answer(answer);
                }
                Ok(())
            }
        }
    }

    /// The state of the script.
    pub fn state(&self) -> ScriptState {
        self.0.state()
    }

    /// Why its script does not load, if it does not.
    pub fn failure(&self) -> Option<Failure> {
        self.0.failure()
    }

    /// How many connects, lookups and calls wait for the script's answer.
    pub fn open_requests(&self) -> usize {
        self.0.requests.len()
    }

    /// Changes the settings: deadlines and fallbacks at once; for the rest the script is reloaded.
    pub fn set_settings(&self, settings: Arc<Application>) {
        self.0.settings.store(settings);
        // Reload is always taken.
        let _ = self.try_send(AppEvent::Reload);
    }
}

/// Whether the event waits for an answer.
fn waits_for_answer(event: &AppEvent) -> bool {
    matches!(event, AppEvent::Call { .. } | AppEvent::PeerLookup(_) | AppEvent::Connect { .. })
}

impl AppActor for ScriptHandle {
    fn queue(&self, event: AppEvent) -> Result<(), Box<AppEvent>> {
        self.put(event).map_err(|Full(event)| event)
    }

    fn wake(&self) {
        self.0.wake();
    }

    fn cancel(&self, request: RequestId) {
        self.0.requests.take(request.get());
    }

    fn is_over(&self) -> bool {
        self.0.is_ending.load(Ordering::Acquire) || self.state() == ScriptState::Stopped
    }

    fn has_failed(&self) -> bool {
        self.state() == ScriptState::Failed
    }

    fn memory(&self) -> usize {
        self.0.memory.own.get()
    }

    fn time(&self) -> Duration {
        self.0.busy.get()
    }

    fn file(&self) -> Option<PathBuf> {
        Some(self.0.folder.join(self.0.main.get()?))
    }

    fn errors(&self) -> Vec<LoggedError> {
        self.0.errors.all()
    }

    fn clients(&self) -> Vec<KnownClient> {
        // What waits in the inbox has happened, whether the script comes to look at it or not.
        let mut known = self.0.inbox.look(|waiting| self.0.ledger.known(waiting));
        for (client, open) in self.0.requests.calls() {
            if let Ok(place) = known.binary_search_by_key(&client, |known| known.client)
                && let Some(known) = known.get_mut(place)
            {
                known.open.push(open);
            }
        }
        known
    }

    fn published_members(&self) -> Vec<PublishedMember> {
        self.0.ledger.published.all()
    }

    fn is_busy(&self) -> bool {
        // In this order: what is taken from the inbox is taken in a turn.
        self.0.inbox.has_events() || self.0.has_turn.load(Ordering::Acquire)
    }

    fn reconfigure(&self, settings: Arc<Application>) {
        self.set_settings(settings);
    }
}
