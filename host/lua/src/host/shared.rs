//! What an instance's thread, the watchdog and the workers share of it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::busy_time::BusyTime;
use super::inbox::Inbox;
use super::script_files::ScriptFiles;
use super::thread_queue::ThreadQueue;
use crate::disk::Files;
use crate::engine::failure::Failure;
use crate::engine::memory::Memory;
use crate::instance::connections::OpenConnections;
use crate::instance::error_log::ErrorLog;
use crate::instance::ledger::Ledger;
use crate::instance::open_requests::{Answer, OpenRequests};
use crate::instance::surroundings::Surroundings;
use introd_config::{Application, CATCH_ALL};
use introd_policy::message::{Commands, SendError};
use introd_policy::{InstanceName, Totals};

/// An instance for a thread to start.
pub(crate) struct Opening {
    pub(crate) shared: Arc<Shared>,
    pub(crate) surroundings: Surroundings,
    pub(crate) files: Arc<dyn Files>,
    /// How many bytes VMs have freed: this process may still keep them.
    pub(crate) freed: Arc<AtomicUsize>,
    /// How long all instances have kept their threads busy.
    pub(crate) busy: Arc<BusyTime>,
}

/// Leads to a thread of scripts.
pub(crate) type Queue = ThreadQueue<Opening, Arc<Shared>>;

/// How many events may wait for an instance.
const INBOX: usize = 8192;

/// The state of an instance's script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ScriptState {
    /// The script is being loaded; events wait.
    Starting,
    /// It runs.
    Running,
    /// This script, or another of its thread, hangs. Requests that wait for its answer fail. The script may recover.
    Wedged,
    /// The script does not load, or has hung until another thread took over. The application is closed: connects are rejected, lookups
    /// are denied, and calls fail.
    Failed,
    /// The instance has ended. Its application is closed in the same way.
    Stopped,
}

impl ScriptState {
    const ALL: [Self; 5] = [Self::Starting, Self::Running, Self::Wedged, Self::Failed, Self::Stopped];
}

/// What an instance's thread, the watchdog and the workers share of it.
pub(crate) struct Shared {
    pub(crate) name: InstanceName,
    pub(crate) folder: PathBuf,
    /// The name of its script's file, as it was when the instance was opened.
    pub(crate) main: OnceLock<String>,
    /// Counts what its clients do.
    pub(crate) totals: OnceLock<Arc<dyn Totals>>,
    pub(crate) settings: ArcSwap<Application>,
    pub(crate) commands: Arc<dyn Commands>,
    pub(crate) inbox: Inbox,
    pub(crate) requests: Arc<OpenRequests>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) memory: Memory,
    /// Another process had the instance before.
    pub(crate) is_taken_over: AtomicBool,
    /// Another process has taken over the clients: the instance ends for that reason.
    pub(crate) is_replaced: Arc<AtomicBool>,
    /// Whether the instance is to end, or has begun to: no further client gets it.
    pub(crate) is_ending: AtomicBool,
    /// How long its script has kept its thread busy.
    pub(crate) busy: BusyTime,
    /// The last errors of its script.
    pub(crate) errors: Arc<ErrorLog>,
    /// The NetConnections of its script.
    connections: Mutex<Arc<OpenConnections>>,
    /// Leads to the thread that runs it.
    queue: ArcSwap<Queue>,
    /// Whether its thread has been told that there is something to do, and has yet to look.
    pub(crate) is_ready: AtomicBool,
    /// Whether it has a turn at this moment, or keeps commands for which a worker has no room.
    pub(crate) has_turn: AtomicBool,
    /// Its place on its thread; only that thread uses it.
    pub(crate) place: AtomicUsize,
    /// The files with which the script has hung: it stays closed until they change.
    closed: Mutex<Option<ScriptFiles>>,
    state: AtomicU8,
    failure: Mutex<Option<Failure>>,
    made: Instant,
    /// Since when its script has been running without a break, in nanoseconds from `made`; 0 if it does not.
    busy_since: AtomicU64,
}

/// The application whose script an instance runs: its own, or the catch-all one, which has the folder of that name.
pub(super) fn served_by<'a>(name: &'a InstanceName, folder: &Path) -> &'a str {
    if folder.file_name().is_some_and(|folder| folder == CATCH_ALL) { CATCH_ALL } else { &name.application }
}

impl Shared {
    pub(crate) fn new(
        name: InstanceName,
        folder: PathBuf,
        settings: Arc<Application>,
        commands: Arc<dyn Commands>,
        queue: Arc<Queue>,
        memory: Memory,
    ) -> Self {
        Self {
            name,
            folder,
            main: OnceLock::new(),
            totals: OnceLock::new(),
            settings: ArcSwap::new(settings),
            commands,
            inbox: Inbox::new(INBOX, memory.clone()),
            requests: Arc::default(),
            ledger: Arc::default(),
            is_taken_over: AtomicBool::new(false),
            is_replaced: Arc::default(),
            is_ending: AtomicBool::new(false),
            memory,
            busy: BusyTime::default(),
            errors: Arc::default(),
            connections: Mutex::default(),
            queue: ArcSwap::new(queue),
            is_ready: AtomicBool::new(false),
            has_turn: AtomicBool::new(false),
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

    /// Changes the state if it is `from`. False if it is another.
    pub(crate) fn change_state(&self, from: ScriptState, to: ScriptState) -> bool {
        self.state.compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(crate) fn set_failure(&self, failure: Failure) {
        self.errors.add(failure.to_string());
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        self.set_state(ScriptState::Failed);
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The script begins to run, or stops.
    pub(crate) fn set_busy(&self, since: Option<Instant>) {
        let nanos = |since: Instant| u64::try_from(since.saturating_duration_since(self.made).as_nanos());
        self.busy_since.store(since.map_or(0, |since| nanos(since).unwrap_or(u64::MAX).max(1)), Ordering::Release);
    }

    pub(crate) fn busy_since(&self) -> Option<Instant> {
        let nanos = self.busy_since.load(Ordering::Acquire);
        (nanos != 0).then(|| self.made.checked_add(Duration::from_nanos(nanos))).flatten()
    }

    /// The name of its application. All that the catch-all application serves count as one: clients choose their names, and must get no more of a
    /// thread's time by that, nor run a script again that hangs.
    pub(crate) fn application(&self) -> String {
        let InstanceName { adaptor, vhost, .. } = &self.name;
        format!("{adaptor}/{vhost}/{}", served_by(&self.name, &self.folder))
    }

    /// The script has hung: the instance is closed until the files change.
    pub(crate) fn close(&self, files: ScriptFiles) {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = Some(files);
        let message =
            "the script has hung where no limit stops it: the application is closed until its files change".to_owned();
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

    /// The NetConnections of a script that is about to start.
    pub(crate) fn new_connections(&self) -> Arc<OpenConnections> {
        let connections = Arc::<OpenConnections>::default();
        let mut place = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *place, Arc::clone(&connections));
        drop(place);
        old.end();
        connections
    }

    /// Closes the NetConnections of a script that hangs, and lets it open no others.
    pub(crate) fn close_connections(&self) {
        let connections = Arc::clone(&*self.connections.lock().unwrap_or_else(PoisonError::into_inner));
        connections.end();
    }

    /// Moves to another thread.
    pub(crate) fn move_to(&self, queue: &Arc<Queue>) {
        self.queue.store(Arc::clone(queue));
    }

    /// Tells its thread that there is something to do.
    pub(crate) fn wake(self: &Arc<Self>) {
        if self.is_ready.swap(true, Ordering::AcqRel) {
            return;
        }
        let queue = self.queue.load();
        queue.ready(Arc::clone(self));
        if queue.is_given_up() {
            // That thread may never look. Its successor looks when it takes the instance over; if it has done so, it is told here.
            let now = self.queue.load();
            if Arc::ptr_eq(&queue, &now) {
                self.is_ready.store(false, Ordering::Release);
            } else {
                now.ready(Arc::clone(self));
            }
        }
    }

    /// Answers every open request in place of the script: they fail, or find the application closed.
    pub(crate) fn answer_for_script(&self) {
        let is_closed = matches!(self.state(), ScriptState::Failed | ScriptState::Stopped);
        for (number, request) in self.requests.take_all() {
            self.answer(if is_closed {
                Answer::closed(number, request, CLOSED)
            } else {
                Answer::failed(number, request, NO_ANSWER)
            });
        }
    }

    /// Gives an answer in place of the script. The thread that does so keeps nothing and waits for nothing: a result that finds no room
    /// is lost, and counted.
    pub(super) fn answer(&self, answer: Answer) {
        match answer {
            Answer::Verdict(request, verdict) => self.commands.decide(request, verdict),
            Answer::Result(command) => {
                if let Err(SendError::Full(command)) = self.commands.send(command) {
                    self.commands.count_lost(command.client().worker);
                }
            }
        }
    }
}

/// What clients are told of an application whose script does not load, has hung or has ended.
pub(crate) const CLOSED: &str = "the application is not available";

/// Why a request fails whose script does not run for now.
pub(crate) const NO_ANSWER: &str = "the application does not answer";

#[cfg(test)]
mod tests {
    use introd_flash::amf::Value;
    use introd_flash::server::Call;
    use introd_policy::message::AppEvent;

    use super::*;
    use crate::tests::{Sink, a_client, instance_name};

    #[test]
    fn an_answer_for_a_script_that_finds_no_room_is_lost_and_counted() {
        let (commands, (client, _)) = (Arc::new(Sink::default()), a_client());
        let settings = Arc::new(crate::testing::settings());
        let (name, queue) = (instance_name("app"), Arc::default());
        let shared = Shared::new(name, "/nonexistent".into(), settings, commands.clone(), queue, Memory::default());
        let call = Call { name: "x".to_owned(), transaction: 1.0, object: Value::Null, arguments: Vec::new() };
        shared.inbox.push(AppEvent::Call { client, call }, |event| shared.requests.admit(event)).unwrap();
        shared.answer_for_script();
        assert_eq!((commands.lost(), shared.requests.len()), (1, 0));
    }
}
