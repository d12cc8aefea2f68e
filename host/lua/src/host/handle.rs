//! An instance, as others see it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use crate::engine::failure::Failure;
use crate::engine::memory::Memory;
use crate::host::inbox::{Full, Inbox};
use crate::host::line::Line;
use crate::host::script_files::ScriptFiles;
use crate::instance::ledger::Ledger;
use crate::instance::questions::{self, Question, Questions};
use introd_config::Application;
use introd_policy::message::{AppEvent, Commands};
use introd_policy::{Actor, InstanceName};

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
pub(crate) struct Shared {
    pub(crate) name: InstanceName,
    pub(crate) folder: PathBuf,
    pub(crate) settings: ArcSwap<Application>,
    pub(crate) commands: Arc<dyn Commands>,
    pub(crate) inbox: Inbox,
    pub(crate) questions: Arc<Questions>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) memory: Memory,
    /// The thread that runs it.
    line: ArcSwap<Line>,
    /// Whether its thread has been told that it has something to do, and has not looked.
    pub(crate) is_ready: AtomicBool,
    /// Its place on its thread, for that alone.
    pub(crate) place: AtomicUsize,
    /// The files with which the script has hung: it stays closed until they change.
    closed: Mutex<Option<ScriptFiles>>,
    state: AtomicU8,
    failure: Mutex<Option<Failure>>,
    made: Instant,
    /// Since when its script has been running without a break, in nanoseconds from `made`; 0 if it does not.
    busy_since: AtomicU64,
}

impl Shared {
    pub(crate) fn new(
        name: InstanceName,
        folder: PathBuf,
        settings: Arc<Application>,
        commands: Arc<dyn Commands>,
        line: Arc<Line>,
        memory: Memory,
    ) -> Self {
        Self {
            name,
            folder,
            settings: ArcSwap::new(settings),
            commands,
            inbox: Inbox::new(INBOX),
            questions: Arc::default(),
            ledger: Arc::default(),
            memory,
            line: ArcSwap::new(line),
            is_ready: AtomicBool::new(false),
            place: AtomicUsize::new(usize::MAX),
            closed: Mutex::default(),
            state: AtomicU8::new(ScriptState::Starting as u8),
            failure: Mutex::default(),
            made: Instant::now(),
            busy_since: AtomicU64::new(0),
        }
    }

    pub(crate) fn state(&self) -> ScriptState {
        let state = usize::from(self.state.load(Ordering::Acquire));
        ScriptState::ALL.get(state).copied().unwrap_or(ScriptState::Failed)
    }

    pub(crate) fn set_state(&self, state: ScriptState) {
        self.state.store(state as u8, Ordering::Release);
    }

    /// Goes from one state to another; false if it is in neither.
    pub(crate) fn change_state(&self, from: ScriptState, to: ScriptState) -> bool {
        self.state.compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(crate) fn set_failure(&self, failure: Failure) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        self.set_state(ScriptState::Failed);
    }

    /// Its script begins, or ends, to run.
    pub(crate) fn set_busy(&self, since: Option<Instant>) {
        let nanos = |since: Instant| u64::try_from(since.saturating_duration_since(self.made).as_nanos());
        self.busy_since.store(since.map_or(0, |since| nanos(since).unwrap_or(u64::MAX).max(1)), Ordering::Release);
    }

    pub(crate) fn busy_since(&self) -> Option<Instant> {
        let nanos = self.busy_since.load(Ordering::Acquire);
        (nanos != 0).then(|| self.made.checked_add(Duration::from_nanos(nanos))).flatten()
    }

    /// What its application is called.
    pub(crate) fn application(&self) -> String {
        let InstanceName { adaptor, vhost, application, .. } = &self.name;
        format!("{adaptor}/{vhost}/{application}")
    }

    /// Its script has hung: it is closed until its files change.
    pub(crate) fn close(&self, files: ScriptFiles) {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = Some(files);
        let message = "the script has hung where no limit holds, and is closed until it is changed".to_owned();
        self.set_failure(Failure { message, ..Failure::default() });
        self.answer_for_script();
    }

    /// Whether the script is closed, and its files are still those that hung.
    pub(crate) fn is_closed(&self) -> bool {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if closed.is_some_and(|files| files != ScriptFiles::of(&self.folder)) {
            *closed = None;
        }
        closed.is_some()
    }

    /// Moves to another thread.
    pub(crate) fn move_to(&self, line: &Arc<Line>) {
        self.line.store(Arc::clone(line));
    }

    /// Takes an event in, with its deadline from now on.
    fn admit(&self, event: AppEvent) -> Result<crate::instance::item::Item, Box<AppEvent>> {
        let deadline = match &event {
            AppEvent::Connect { .. } | AppEvent::PeerLookup(_) => {
                Instant::now().checked_add(self.settings.load().policy.deadline)
            }
            _ => None,
        };
        self.questions.admit(event, deadline)
    }

    /// Has its thread see to what is queued.
    pub(crate) fn wake(self: &Arc<Self>) {
        if self.is_ready.swap(true, Ordering::AcqRel) {
            return;
        }
        let line = self.line.load();
        line.ready(self);
        if line.is_given_up() {
            // That thread may never look. The new one looks when it takes the instance over; if it already has, it is told here.
            let now = self.line.load();
            if Arc::ptr_eq(&line, &now) {
                self.is_ready.store(false, Ordering::Release);
            } else {
                now.ready(self);
            }
        }
    }

    /// Answers everything that waits, in place of the script.
    pub(crate) fn answer_for_script(&self) {
        for question in self.questions.take_all() {
            self.fall_back(question);
        }
    }

    /// Answers what has waited for too long, whether the script has heard of it or not.
    pub(crate) fn answer_late(&self, now: Instant) {
        while let Some((_, question)) = self.questions.take_late(now) {
            questions::too_late(question, &self.name, &self.settings.load().policy, &*self.commands);
        }
    }

    fn fall_back(&self, question: Question) {
        let fallback = self.settings.load().policy.on_failure;
        question.fall_back(fallback, "the application does not answer", &*self.commands);
    }
}

/// Leads to an instance.
#[derive(Clone)]
pub struct ScriptHandle(pub(crate) Arc<Shared>);

impl ScriptHandle {
    /// Tells the instance of something. If it cannot decide, because its script does not load, has ended or hangs, what waits
    /// for an answer gets that of the settings for failures, here and now.
    ///
    /// # Errors
    /// If too many events wait. What ends something is always taken.
    pub fn try_send(&self, event: AppEvent) -> Result<(), Full> {
        let result = self.put(event);
        self.0.wake();
        result
    }

    /// As [`Self::try_send`], for an instance that is woken later.
    fn put(&self, event: AppEvent) -> Result<(), Full> {
        let shared = &*self.0;
        let is_running = || matches!(shared.state(), ScriptState::Starting | ScriptState::Running);
        match shared.state() {
            ScriptState::Starting | ScriptState::Running => {
                shared.inbox.push(event, |event| shared.admit(event))?;
                // It may have come to a stop meanwhile, with nobody left to look.
                if !is_running() {
                    shared.answer_for_script();
                }
                Ok(())
            }
            _ if matches!(event, AppEvent::Reload | AppEvent::Stop) => {
                shared.inbox.push(event, |event| shared.admit(event))
            }
            ScriptState::Wedged if !is_question(&event) => shared.inbox.push(event, |event| shared.admit(event)),
            ScriptState::Wedged | ScriptState::Failed | ScriptState::Stopped => {
                // A script that does not run does not hear of it, but one that comes after it has to know its clients.
                shared.ledger.note(&event);
                if let Some(question) = Question::of(event) {
                    shared.fall_back(question);
                }
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

/// Whether somebody waits for an answer.
fn is_question(event: &AppEvent) -> bool {
    matches!(event, AppEvent::Call { .. } | AppEvent::PeerLookup(_) | AppEvent::Connect { .. })
}

impl Actor for ScriptHandle {
    fn queue(&self, event: AppEvent) -> Result<(), Box<AppEvent>> {
        self.put(event).map_err(|Full(event)| event)
    }

    fn wake(&self) {
        self.0.wake();
    }

    fn is_over(&self) -> bool {
        self.state() == ScriptState::Stopped
    }

    fn has_failed(&self) -> bool {
        self.state() == ScriptState::Failed
    }

    fn memory(&self) -> usize {
        self.0.memory.own.get()
    }

    fn reconfigure(&self, settings: Arc<Application>) {
        self.set_settings(settings);
    }
}
