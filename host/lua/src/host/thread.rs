//! A policy thread: it runs the scripts of some applications, one handler at a time.

use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use slab::Slab;
use tokio::task::JoinSet;

use super::schedule::{AppId, Kind, Schedule, Turn};
use super::shared::{Opening, Queue, ScriptState, Shared};
use crate::instance::item::Item;
use crate::instance::world::World;
use crate::runtime::Runtime;
use introd_policy::message::{AppEvent, ClientCommand, Commands, SendError};
use introd_policy::registry::LookupResult;
use introd_policy::{RequestId, Verdict};

/// A turn ends with the first event that ends after so long, or with so many.
const TURN: Duration = Duration::from_millis(1);
const BATCH: usize = 32;
/// So many turns later, what the scripts wait for in the registry is looked after.
const TURNS: usize = 32;

/// How often it is tried again to send commands for which a worker has had no room.
const RETRY_EVERY: Duration = Duration::from_millis(1);

/// The commands of a script. They stop with the thread: whatever it does once it has been given up is void.
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
struct Place {
    opening: Opening,
    app: AppId,
    /// `None` while it is not loaded, or cannot be.
    runtime: Option<Runtime>,
    /// For which of its turns it waits.
    waits: [bool; Kind::COUNT],
    /// When it is to be woken.
    timeout: Option<Instant>,
    /// Registry lookups that have come back.
    results: VecDeque<(u64, LookupResult)>,
    /// Whether it has no turn until its commands are sent.
    is_held: bool,
}

struct Thread {
    queue: Arc<Queue>,
    places: Slab<Place>,
    schedule: Schedule,
    timeouts: BTreeSet<(Instant, usize)>,
    /// Instances whose commands wait for room at a worker, and when that is looked at again.
    held: Vec<usize>,
    retry_at: Option<Instant>,
    lookups: JoinSet<(Arc<Shared>, u64, LookupResult)>,
}

/// Runs what comes until the queue is closed and all instances have ended, or the thread is given up.
pub(crate) fn run(runtime: &tokio::runtime::Runtime, queue: Arc<Queue>) {
    let (places, lookups) = (Slab::new(), JoinSet::new());
    let thread = Thread {
        queue,
        places,
        schedule: Schedule::default(),
        timeouts: BTreeSet::new(),
        held: Vec::new(),
        retry_at: None,
        lookups,
    };
    tokio::task::LocalSet::new().block_on(runtime, thread.work());
}

impl Thread {
    async fn work(mut self) {
        let mut turns = 0;
        while !self.queue.is_given_up() {
            let is_closed = self.look();
            let now = Instant::now();
            if self.retry_at.is_some_and(|at| at <= now) {
                self.retry(now);
            }
            while let Some((at, place)) = self.timeouts.first().copied()
                && at <= now
            {
                self.timeouts.pop_first();
                self.queue(place, Kind::Event, now);
                if let Some(place) = self.places.get_mut(place) {
                    place.timeout = None;
                }
            }
            if let Some(turn) = self.schedule.next(now) {
                self.take(&turn, now);
                turns += 1;
                if turns % TURNS == 0 {
                    tokio::task::yield_now().await;
                }
                continue;
            }
            if is_closed && self.places.is_empty() {
                return;
            }
            tokio::select! {
                () = self.queue.arrived() => (),
                () = sleep_until(self.timeouts.first().map(|(at, _)| *at).into_iter().chain(self.retry_at).min()) => (),
                Some(done) = self.lookups.join_next() => self.came_back(done),
            }
        }
        // Another thread has its instances by now: nothing of what is here counts.
    }

    /// Sees what has come. Whether nothing comes any more.
    fn look(&mut self) -> bool {
        let queued = self.queue.take();
        for opening in queued.openings {
            let app = self.schedule.enter(&opening.shared.application());
            let shared = Arc::clone(&opening.shared);
            let place = self.places.insert(Place {
                opening,
                app,
                runtime: None,
                waits: Default::default(),
                timeout: None,
                results: VecDeque::new(),
                is_held: false,
            });
            shared.place.store(place, Ordering::Relaxed);
            shared.is_ready.store(false, Ordering::Release);
            self.poke(place);
        }
        for shared in queued.ready {
            shared.is_ready.store(false, Ordering::Release);
            let place = shared.place.load(Ordering::Relaxed);
            if self.places.get(place).is_some_and(|known| Arc::ptr_eq(&known.opening.shared, &shared)) {
                self.poke(place);
            }
        }
        while let Some(done) = self.lookups.try_join_next() {
            self.came_back(done);
        }
        queued.is_closed
    }

    fn came_back(&mut self, done: Result<(Arc<Shared>, u64, LookupResult), tokio::task::JoinError>) {
        let Ok((shared, token, result)) = done else { return };
        let number = shared.place.load(Ordering::Relaxed);
        if let Some(place) = self.places.get_mut(number)
            && Arc::ptr_eq(&place.opening.shared, &shared)
        {
            place.results.push_back((token, result));
            self.poke(number);
        }
    }

    /// Has an instance wait for the turns that it needs.
    fn poke(&mut self, number: usize) {
        let now = Instant::now();
        let Some(place) = self.places.get(number) else { return };
        let inbox = &place.opening.shared.inbox;
        if place.runtime.is_some() {
            if inbox.wants_reload() {
                self.queue(number, Kind::Reload, now);
            }
            if let Some(place) = self.places.get(number)
                && (place.opening.shared.inbox.has_events() || !place.results.is_empty())
            {
                self.queue(number, Kind::Event, now);
            }
        } else if place.opening.shared.state() == ScriptState::Starting || inbox.wants_reload() {
            self.queue(number, Kind::Start, now);
        } else if inbox.has_events() {
            self.queue(number, Kind::Event, now);
        }
    }

    fn queue(&mut self, number: usize, kind: Kind, now: Instant) {
        if let Some(place) = self.places.get_mut(number)
            && !place.is_held
            && let Some(waits) = place.waits.get_mut(kind.index())
            && !std::mem::replace(waits, true)
        {
            self.schedule.add(place.app, kind, number, now);
        }
    }

    /// Sends what there is room for by now. An instance all of whose commands are sent has turns again.
    fn retry(&mut self, now: Instant) {
        for number in std::mem::take(&mut self.held) {
            let Some(place) = self.places.get_mut(number).filter(|place| place.is_held) else { continue };
            let Some(runtime) = &place.runtime else { continue };
            if !runtime.world.outbox.flush() {
                self.held.push(number);
                continue;
            }
            place.is_held = false;
            if runtime.is_over() {
                self.end(number);
            } else {
                // Something may have become due meanwhile.
                self.queue(number, Kind::Event, now);
                self.poke(number);
            }
        }
        self.retry_at = (!self.held.is_empty()).then(|| now + RETRY_EVERY);
    }

    /// An instance has its turn.
    fn take(&mut self, turn: &Turn, now: Instant) {
        let Some(place) = self.places.get_mut(turn.instance) else { return };
        if let Some(waits) = place.waits.get_mut(turn.kind.index()) {
            *waits = false;
        }
        if place.is_held {
            return;
        }
        if let Some(used) = turn.slowed {
            let app = place.opening.shared.application();
            tracing::warn!(%app, ?used, "the application takes more than its share of its scripts' thread: what comes for it waits while others have their turn");
        }
        let queue = &self.queue;
        let result = catch_unwind(AssertUnwindSafe(|| match turn.kind {
            Kind::Event => place.handle(now),
            Kind::Reload => place.reload(now),
            Kind::Start => place.start(queue),
        }));
        self.schedule.charge(turn.app, turn.kind, now.elapsed());
        if self.queue.is_given_up() {
            return;
        }
        let Ok(is_over) = result else {
            tracing::error!(app = %place.opening.shared.name, "an application instance broke down");
            self.end(turn.instance);
            return;
        };
        if place.has_unsent_commands() {
            place.is_held = true;
            self.held.push(turn.instance);
            self.retry_at.get_or_insert(now + RETRY_EVERY);
        } else if is_over {
            self.end(turn.instance);
            return;
        }
        if let Some(runtime) = &mut place.runtime {
            let shared = &place.opening.shared;
            for job in runtime.world.take_jobs() {
                let shared = Arc::clone(shared);
                self.lookups.spawn_local(async move { (shared, job.token, job.lookup.await) });
            }
            place.opening.freed.fetch_add(runtime.take_freed(), Ordering::Relaxed);
            let timeout = runtime.next_timeout();
            if timeout != place.timeout {
                if let Some(old) = place.timeout {
                    self.timeouts.remove(&(old, turn.instance));
                }
                place.timeout = timeout;
                self.timeouts.extend(timeout.map(|at| (at, turn.instance)));
            }
        }
        self.poke(turn.instance);
    }

    /// An instance has ended.
    fn end(&mut self, number: usize) {
        let Some(place) = self.places.try_remove(number) else { return };
        if let Some(at) = place.timeout {
            self.timeouts.remove(&(at, number));
        }
        self.schedule.leave(place.app);
        let shared = &place.opening.shared;
        shared.set_busy(None);
        shared.set_state(ScriptState::Stopped);
        shared.answer_for_script();
        let most = place.runtime.as_ref().map_or(0, |runtime| runtime.vm.max_used());
        drop(place.runtime);
        place.opening.freed.fetch_add(most, Ordering::Relaxed);
    }
}

impl Place {
    fn has_unsent_commands(&self) -> bool {
        self.runtime.as_ref().is_some_and(|runtime| !runtime.world.outbox.is_empty())
    }

    /// Handles what has happened and what is due, for one turn. Whether the instance has ended.
    fn handle(&mut self, began: Instant) -> bool {
        let shared = &self.opening.shared;
        let Some(runtime) = &mut self.runtime else {
            // Who was turned away is not known to the next script.
            while let Some(item) = shared.inbox.pop() {
                match item {
                    Item::Event(AppEvent::Stop) => return true,
                    Item::Event(event) => shared.ledger.note(&event),
                    _ => (),
                }
            }
            return false;
        };
        let world = Rc::clone(&runtime.world);
        // A script whose commands find no room has no further handler in this turn.
        let is_late = || !world.outbox.is_empty() || began.elapsed() >= TURN;
        if runtime.next_timeout().is_some_and(|at| at <= began) {
            work(shared, |now| runtime.handle_timeout(now, is_late));
        }
        for _ in 0..BATCH {
            if runtime.is_over() {
                return true;
            }
            if !world.outbox.is_empty() {
                return false;
            }
            let Some(item) = shared.inbox.pop() else { break };
            if work(shared, |now| runtime.handle_item(now, item)) {
                break;
            }
        }
        while world.outbox.is_empty()
            && let Some((token, result)) = self.results.pop_front()
        {
            work(shared, |now| runtime.handle_lookup(now, token, result));
            if began.elapsed() >= TURN {
                break;
            }
        }
        runtime.is_over()
    }

    /// Loads the script anew.
    fn reload(&mut self, _now: Instant) -> bool {
        let shared = &self.opening.shared;
        let Some(runtime) = &mut self.runtime else { return false };
        if shared.inbox.take_reload() {
            runtime.set_settings(shared.settings.load_full());
            work(shared, |now| runtime.handle(now, AppEvent::Reload));
        }
        runtime.is_over()
    }

    /// Loads the script; if that fails, it is tried again when that is asked for.
    fn start(&mut self, queue: &Arc<Queue>) -> bool {
        let shared = &self.opening.shared;
        shared.inbox.take_reload();
        if shared.is_closed() {
            tracing::error!(app = %shared.name, "the script has hung, and has not changed since: it stays closed");
            return false;
        }
        let commands = Arc::new(Leased { queue: Arc::clone(queue), commands: Arc::clone(&shared.commands) });
        let world = World::new(
            shared.name.clone(),
            shared.settings.load_full(),
            commands,
            Arc::clone(&self.opening.registry),
            Arc::clone(&shared.requests),
            Arc::clone(&shared.ledger),
            Instant::now(),
        )
        .with_memory(shared.memory.clone())
        .with_mark({
            let shared = Arc::clone(shared);
            move || shared.set_busy(Some(Instant::now()))
        });
        let mut started = None;
        work(shared, |_| started = Some(Runtime::start(Rc::new(world), &shared.folder)));
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

/// Lets a script run, under the eyes of the watchdog. Whether it has taken a turn's time.
fn work(shared: &Shared, work: impl FnOnce(Instant)) -> bool {
    let now = Instant::now();
    shared.set_busy(Some(now));
    work(now);
    shared.set_busy(None);
    now.elapsed() >= TURN
}

/// Waits until `deadline`; for ever when there is none.
async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
