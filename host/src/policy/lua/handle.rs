//! An instance, as others see it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::failure::Failure;
use super::inbox::{Full, Inbox, is_question};
use super::questions::{Question, Questions};
use crate::apps::message::{AppEvent, Commands};
use crate::apps::{Actor, InstanceName};
use crate::config::Application;

/// How many events may wait for an instance.
const INBOX: usize = 8192;

/// How an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ScriptState {
    /// The script is being loaded; events wait.
    Starting,
    /// It runs.
    Running,
    /// It, or another on its thread, has been busy for too long. What comes is answered as the settings say for failures. It
    /// may come back.
    Wedged,
    /// The script does not load. What comes is answered as the settings say for failures.
    Failed,
    /// It has ended. What comes is answered as the settings say for failures.
    Stopped,
}

impl ScriptState {
    const ALL: [Self; 5] = [Self::Starting, Self::Running, Self::Wedged, Self::Failed, Self::Stopped];
}

/// What an instance's thread, the watchdog and the workers share of it.
pub(super) struct Shared {
    pub(super) name: InstanceName,
    pub(super) folder: PathBuf,
    pub(super) settings: ArcSwap<Application>,
    pub(super) commands: Arc<dyn Commands>,
    pub(super) inbox: Inbox,
    pub(super) questions: Arc<Questions>,
    state: AtomicU8,
    failure: Mutex<Option<Failure>>,
    made: Instant,
    /// Since when its script has been running without a break, in nanoseconds from `made`; 0 if it does not.
    busy_since: AtomicU64,
}

impl Shared {
    pub(super) fn new(
        name: InstanceName,
        folder: PathBuf,
        settings: Arc<Application>,
        commands: Arc<dyn Commands>,
    ) -> Self {
        Self {
            name,
            folder,
            settings: ArcSwap::new(settings),
            commands,
            inbox: Inbox::new(INBOX),
            questions: Arc::default(),
            state: AtomicU8::new(ScriptState::Starting as u8),
            failure: Mutex::default(),
            made: Instant::now(),
            busy_since: AtomicU64::new(0),
        }
    }

    pub(super) fn state(&self) -> ScriptState {
        let state = usize::from(self.state.load(Ordering::Acquire));
        ScriptState::ALL.get(state).copied().unwrap_or(ScriptState::Failed)
    }

    pub(super) fn set_state(&self, state: ScriptState) {
        self.state.store(state as u8, Ordering::Release);
    }

    /// Goes from one state to another; false if it is in neither.
    pub(super) fn change_state(&self, from: ScriptState, to: ScriptState) -> bool {
        self.state.compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(super) fn set_failure(&self, failure: Failure) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        self.set_state(ScriptState::Failed);
    }

    /// Its script begins, or ends, to run.
    pub(super) fn set_busy(&self, since: Option<Instant>) {
        let nanos = |since: Instant| u64::try_from(since.saturating_duration_since(self.made).as_nanos());
        self.busy_since.store(since.map_or(0, |since| nanos(since).unwrap_or(u64::MAX).max(1)), Ordering::Release);
    }

    pub(super) fn busy_since(&self) -> Option<Instant> {
        let nanos = self.busy_since.load(Ordering::Acquire);
        (nanos != 0).then(|| self.made.checked_add(Duration::from_nanos(nanos))).flatten()
    }

    /// Answers everything that waits, in place of the script.
    pub(super) fn answer_for_script(&self) {
        for question in self.questions.take_all() {
            self.fall_back(question);
        }
        for event in self.inbox.take_questions() {
            self.answer_event(event);
        }
    }

    fn fall_back(&self, question: Question) {
        let fallback = self.settings.load().policy.on_failure;
        question.fall_back(fallback, "the application does not answer", &*self.commands);
    }

    fn answer_event(&self, event: AppEvent) {
        let question = match event {
            AppEvent::Connect { client, .. } => Question::Connect(client),
            AppEvent::PeerLookup(lookup) => Question::Lookup(lookup),
            AppEvent::Call { client, call } if call.wants_answer() => {
                Question::Call { client, transaction: call.transaction }
            }
            _ => return,
        };
        self.fall_back(question);
    }
}

/// Leads to an instance.
#[derive(Clone)]
pub struct ScriptHandle(pub(super) Arc<Shared>);

impl ScriptHandle {
    /// Tells the instance of something. If it cannot decide, because its script does not load, has ended or hangs, what waits
    /// for an answer gets that of the settings for failures, here and now.
    ///
    /// # Errors
    /// If too many events wait. What ends something is always taken.
    pub fn try_send(&self, event: AppEvent) -> Result<(), Full> {
        let result = self.put(event);
        self.0.inbox.wake();
        result
    }

    /// As [`Self::try_send`], for an instance that is woken later.
    fn put(&self, event: AppEvent) -> Result<(), Full> {
        let shared = &*self.0;
        match shared.state() {
            ScriptState::Starting | ScriptState::Running => {
                shared.inbox.push(event)?;
                // It may have come to a stop meanwhile, with nobody left to look.
                if !matches!(shared.state(), ScriptState::Starting | ScriptState::Running) {
                    shared.answer_for_script();
                }
                Ok(())
            }
            ScriptState::Wedged if !is_question(&event) => shared.inbox.push(event),
            // A script that hangs does not hear of clients that were turned away in its place.
            ScriptState::Failed if matches!(event, AppEvent::Reload | AppEvent::Stop) => shared.inbox.push(event),
            ScriptState::Wedged | ScriptState::Failed | ScriptState::Stopped => {
                shared.answer_event(event);
                Ok(())
            }
        }
    }

    /// How it is.
    pub fn state(&self) -> ScriptState {
        self.0.state()
    }

    /// Why its script does not load, if it does not.
    pub fn failure(&self) -> Option<Failure> {
        self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connects, lookups and calls wait for its answer.
    pub fn open_questions(&self) -> usize {
        self.0.questions.len()
    }

    /// Has it run with other settings: deadlines and fallbacks at once, the script loaded anew for the rest.
    pub fn set_settings(&self, settings: Arc<Application>) {
        self.0.settings.store(settings);
        // Reload is always taken.
        let _ = self.try_send(AppEvent::Reload);
    }
}

impl Actor for ScriptHandle {
    fn queue(&self, event: AppEvent) -> Result<(), Box<AppEvent>> {
        self.put(event).map_err(|Full(event)| event)
    }

    fn wake(&self) {
        self.0.inbox.wake();
    }

    fn is_over(&self) -> bool {
        self.state() == ScriptState::Stopped
    }

    fn has_failed(&self) -> bool {
        self.state() == ScriptState::Failed
    }

    fn reconfigure(&self, settings: Arc<Application>) {
        self.set_settings(settings);
    }
}
