//! An instance on its thread: what it does in its turns.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::connection_port::HostedPort;
use super::lookup_turn::LookupTurn;
use super::schedule::{AppId, Kind};
use super::shared::{Opening, Queue, ScriptState, Shared};
use crate::instance::Instance;
use crate::instance::app_files::AppFiles;
use crate::instance::connections::Connections;
use crate::instance::item::InboxItem;
use crate::instance::queries::QueryResult;
use crate::runtime::Runtime;
use introd_policy::message::{AppEvent, ClientCommand, Commands, SendError};
use introd_policy::{RequestId, Verdict};

/// A turn ends with the event that is being handled when this time is over, or after this many events.
const TURN: Duration = Duration::from_millis(1);
const BATCH: usize = 64;

/// Sends the commands of a script until its thread is given up: what that thread does later has no effect.
struct Leased {
    queue: Arc<Queue>,
    commands: Arc<dyn Commands>,
}

impl Commands for Leased {
    fn decide(&self, request: RequestId, verdict: Verdict) {
        if !self.queue.is_given_up() {
            self.commands.decide(request, verdict);
        }
    }

    fn send(&self, command: ClientCommand) -> Result<(), SendError> {
        if self.queue.is_given_up() { Err(SendError::Stopped) } else { self.commands.send(command) }
    }

    fn count_lost(&self, worker: u8) {
        self.commands.count_lost(worker);
    }
}

/// An instance on its thread.
pub(super) struct HostedInstance {
    pub(super) opening: Opening,
    pub(super) app: AppId,
    /// `None` while the script is not loaded, or cannot be.
    pub(super) runtime: Option<Runtime>,
    /// The lookups that may follow one in the same turn.
    lookups: Rc<LookupTurn>,
    /// For which kinds of turns it waits.
    pub(super) waits: [bool; Kind::COUNT],
    /// When it has a turn next, if no event comes before.
    pub(super) timeout: Option<Instant>,
    /// Queries that have come to something, with the tokens of the handlers that wait for them.
    pub(super) results: VecDeque<(u64, Option<QueryResult>)>,
    /// Whether it has no turn until its commands are sent.
    pub(super) is_held: bool,
}

impl HostedInstance {
    /// An instance whose script has yet to be loaded.
    pub(super) fn new(opening: Opening, app: AppId) -> Self {
        let (waits, results) = Default::default();
        let lookups = Rc::new(LookupTurn::new(Arc::clone(&opening.shared)));
        Self { opening, app, runtime: None, lookups, waits, timeout: None, results, is_held: false }
    }

    pub(super) fn has_unsent_commands(&self) -> bool {
        self.runtime.as_ref().is_some_and(|runtime| !runtime.instance.outbox.is_empty())
    }

    /// Whether there is something that it can take in now.
    pub(super) fn has_work(&self) -> bool {
        let inbox = &self.opening.shared.inbox;
        let is_full = self.runtime.as_ref().is_some_and(Runtime::holds_enough);
        !self.results.is_empty() || if is_full { inbox.has_not_waiting() } else { inbox.has_events() }
    }

    /// Handles the events and timers of one turn. Gives back whether the instance has ended.
    pub(super) fn handle(&mut self, began: Instant) -> bool {
        let shared = &self.opening.shared;
        let Some(runtime) = &mut self.runtime else {
            // Clients that were rejected meanwhile are unknown to the next script.
            while let Some(item) = shared.inbox.pop() {
                match item {
                    InboxItem::Event(AppEvent::Stop) => return true,
                    InboxItem::Event(event) => shared.ledger.note(&event),
                    _ => (),
                }
            }
            return false;
        };
        let instance = Rc::clone(&runtime.instance);
        // A script whose commands find no room has no further handler in this turn.
        let is_late = || !instance.outbox.is_empty() || began.elapsed() >= TURN;
        if runtime.next_timeout().is_some_and(|at| at <= began) {
            work(shared, |now| runtime.handle_timeout(now, is_late));
        }
        let mut left = BATCH;
        while left > 0 {
            if runtime.is_over() {
                return true;
            }
            if !instance.outbox.is_empty() {
                return false;
            }
            let is_full = runtime.holds_enough();
            if is_full && shared.inbox.take_stop() {
                work(shared, |now| runtime.handle(now, AppEvent::Stop));
                break;
            }
            let next = if is_full { shared.inbox.pop_not_waiting() } else { shared.inbox.pop() };
            let Some(item) = next else { break };
            left -= 1;
            let may_follow = matches!(item, InboxItem::Lookup { .. }) && runtime.takes_lookups();
            let is_late = work(shared, |now| {
                if may_follow {
                    self.lookups.begin(now, TURN, left);
                }
                runtime.handle_item(now, item);
            });
            if may_follow {
                left = self.lookups.end();
            }
            if is_late {
                break;
            }
        }
        while instance.outbox.is_empty()
            && let Some((token, result)) = self.results.pop_front()
        {
            work(shared, |now| runtime.handle_query(now, token, result));
            if began.elapsed() >= TURN {
                break;
            }
        }
        if runtime.is_ending() {
            shared.is_ending.store(true, Ordering::Release);
        }
        runtime.is_over()
    }

    /// Reloads the script. Gives back whether the instance has ended.
    pub(super) fn reload(&mut self) -> bool {
        let shared = &self.opening.shared;
        let Some(runtime) = &mut self.runtime else { return false };
        if shared.inbox.take_reload() {
            runtime.set_settings(shared.settings.load_full());
            work(shared, |now| runtime.handle(now, AppEvent::Reload));
        }
        runtime.is_over()
    }

    /// Loads the script. If that fails, it is loaded again when a reload is asked for.
    pub(super) fn start(&mut self, queue: &Arc<Queue>) -> bool {
        let shared = &self.opening.shared;
        shared.inbox.take_reload();
        if shared.is_ending.load(Ordering::Acquire) {
            // The thread before has taken the event, and got stuck before the instance ended.
            let _ = shared.inbox.push(AppEvent::Stop, |event| shared.requests.admit(event));
        }
        if shared.is_closed() {
            tracing::error!(app = %shared.name, "the script has hung and has not changed since: its application stays closed");
            return false;
        }
        let commands = Arc::new(Leased { queue: Arc::clone(queue), commands: Arc::clone(&shared.commands) });
        let instance = Instance::new(
            shared.name.clone(),
            shared.settings.load_full(),
            commands,
            Arc::clone(&self.opening.surroundings.registry),
            Arc::clone(&shared.requests),
            Arc::clone(&shared.ledger),
            Instant::now(),
        )
        .with_connections(Connections::new(
            Arc::clone(&self.opening.surroundings.connections),
            Arc::new(HostedPort::new(Arc::downgrade(shared))),
            shared.new_connections(),
        ))
        .with_peer_ids(self.opening.surroundings.peer_ids.clone())
        .with_http(Arc::clone(&self.opening.surroundings.http))
        .with_files(AppFiles::new(Arc::clone(&self.opening.files), shared.folder.clone()))
        .with_memory(shared.memory.clone())
        .with_errors(Arc::clone(&shared.errors))
        .with_totals(shared.totals.get().cloned())
        .with_more_lookups({
            let lookups = Rc::clone(&self.lookups);
            Box::new(move |was_long| lookups.next(was_long))
        })
        .with_takeover(shared.is_taken_over.swap(false, Ordering::AcqRel), Arc::clone(&shared.is_replaced))
        .with_mark({
            let shared = Arc::clone(shared);
            move || shared.set_busy(Some(Instant::now()))
        });
        let mut started = None;
        work(shared, |_| started = Some(Runtime::start(Rc::new(instance), &shared.folder)));
        match started {
            Some(Ok(runtime)) => {
                if !queue.is_given_up() {
                    shared.set_state(ScriptState::Running);
                }
                self.runtime = Some(runtime);
            }
            Some(Err(failure)) if !queue.is_given_up() => {
                let (app, folder) = (&shared.name, shared.folder.display());
                tracing::error!(
                    target: "introd::script",
                    %app,
                    %folder,
                    file = failure.file,
                    line = failure.line,
                    traceback = failure.calls(),
                    "the script does not load: {failure}"
                );
                shared.set_failure(failure);
                shared.answer_for_script();
            }
            _ => (),
        }
        false
    }
}

/// Lets a script run, and tells the watchdog when it begins and ends. Gives back whether it has taken a turn's time.
fn work(shared: &Shared, work: impl FnOnce(Instant)) -> bool {
    let now = Instant::now();
    shared.set_busy(Some(now));
    work(now);
    shared.set_busy(None);
    now.elapsed() >= TURN
}
