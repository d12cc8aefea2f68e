//! A policy thread: it runs the scripts of some applications, one handler at a time.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::handle::{ScriptState, Shared};
use super::runtime::Runtime;
use super::world::World;
use crate::apps::message::AppEvent;
use crate::peer::sleep_until;
use crate::registry::{LookupResult, Registry};

/// Events that an instance handles before the others on its thread have their turn.
const BATCH: usize = 32;

/// An instance for a thread to run.
pub(super) struct Opening {
    pub(super) shared: Arc<Shared>,
    pub(super) registry: Arc<dyn Registry>,
    /// Bytes that machines have given back to this process, which may keep them.
    pub(super) freed: Arc<AtomicUsize>,
}

/// Runs what comes until the sender is gone and all instances have ended.
pub(super) fn run(runtime: &tokio::runtime::Runtime, mut openings: mpsc::UnboundedReceiver<Opening>) {
    let local = tokio::task::LocalSet::new();
    local.block_on(runtime, async {
        let mut instances = JoinSet::new();
        loop {
            tokio::select! {
                opening = openings.recv() => match opening {
                    Some(opening) => drop(instances.spawn_local(run_instance(opening))),
                    None => break,
                },
                Some(ended) = instances.join_next() => report(&ended),
            }
        }
        while let Some(ended) = instances.join_next().await {
            report(&ended);
        }
    });
}

fn report(ended: &Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an application instance broke down");
    }
}

/// Marks an instance as ended, however it ends.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.set_busy(None);
        self.0.set_state(ScriptState::Stopped);
        self.0.answer_for_script();
    }
}

/// One instance, from its start to its end.
async fn run_instance(opening: Opening) {
    let shared = &opening.shared;
    let _ending = Ending(Arc::clone(shared));
    let Some(mut runtime) = start(shared, &opening.registry).await else { return };
    let mut lookups: JoinSet<(u64, LookupResult)> = JoinSet::new();
    loop {
        for _ in 0..BATCH {
            let Some(event) = shared.inbox.pop() else { break };
            if matches!(event, AppEvent::Reload) {
                runtime.set_settings(shared.settings.load_full());
            }
            work(shared, |now| runtime.handle(now, event));
        }
        while let Some(Ok((token, result))) = lookups.try_join_next() {
            work(shared, |now| runtime.handle_lookup(now, token, result));
        }
        if runtime.next_timeout().is_some_and(|at| at <= Instant::now()) {
            work(shared, |now| runtime.handle_timeout(now));
        }
        for job in runtime.world.take_jobs() {
            lookups.spawn_local(async move { (job.token, job.lookup.await) });
        }
        opening.freed.fetch_add(runtime.world.take_freed(), Ordering::Relaxed);
        if runtime.is_over() {
            let most = runtime.vm.most();
            drop(runtime);
            opening.freed.fetch_add(most, Ordering::Relaxed);
            return;
        }
        if !shared.inbox.is_empty() {
            tokio::task::yield_now().await;
            continue;
        }
        tokio::select! {
            () = shared.inbox.arrived() => (),
            () = sleep_until(runtime.next_timeout()) => (),
            Some(done) = lookups.join_next() => {
                if let Ok((token, result)) = done {
                    work(shared, |now| runtime.handle_lookup(now, token, result));
                }
            }
        }
    }
}

/// Loads the script; if that fails, waits for another try. `None` when the instance is to end.
async fn start(shared: &Arc<Shared>, registry: &Arc<dyn Registry>) -> Option<Runtime> {
    loop {
        let world = World::new(
            shared.name.clone(),
            shared.settings.load_full(),
            Arc::clone(&shared.commands),
            Arc::clone(registry),
            Arc::clone(&shared.questions),
            Instant::now(),
        );
        match work(shared, |_| Runtime::start(Rc::new(world), &shared.folder)) {
            Ok(runtime) => {
                shared.set_state(ScriptState::Running);
                return Some(runtime);
            }
            Err(failure) => {
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
        }
        loop {
            match shared.inbox.pop() {
                Some(AppEvent::Reload) => break,
                Some(AppEvent::Stop) => return None,
                // Who was turned away is not known to the next script.
                Some(_) => (),
                None => shared.inbox.arrived().await,
            }
        }
    }
}

/// Lets a script run, under the eyes of the watchdog.
fn work<T>(shared: &Shared, work: impl FnOnce(Instant) -> T) -> T {
    let now = Instant::now();
    shared.set_busy(Some(now));
    let result = work(now);
    shared.set_busy(None);
    result
}
