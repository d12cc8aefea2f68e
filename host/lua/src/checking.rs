//! Checks whether a script loads, before an instance uses it.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::idle_handlers;
use crate::api::script::Script;
use crate::engine::failure::Failure;
use crate::engine::limits::STACK;
use crate::instance::Instance;
use introd_config::Application;
use introd_policy::InstanceName;
use introd_policy::message::{ClientCommand, Commands, SendError};
use introd_policy::registry::InMemory;
use introd_policy::{RequestId, Verdict};

/// How long the outermost part of a script may run if its settings have no limit.
const MAX_TIME: Duration = Duration::from_secs(10);

/// Commands of a script that is only checked go nowhere.
struct NoWorkers;

impl Commands for NoWorkers {
    fn decide(&self, _: RequestId, _: Verdict) {}

    fn send(&self, _: ClientCommand) -> Result<(), SendError> {
        Err(SendError::Stopped)
    }

    fn count_lost(&self, _: u8) {}
}

/// Loads the script in a folder as an instance does, without starting it. Nothing that it does has an effect outside. Returns what its author
/// should know: handlers that nothing ever calls. An instance that loads the same script later does not log them again: the caller does.
///
/// # Errors
/// What is wrong with it.
pub fn check(name: InstanceName, folder: &Path, settings: &Application) -> Result<Vec<String>, Failure> {
    notes_on(name, folder, settings, idle_handlers::notes)
}

/// As [`check`], with the notes that `notes` makes.
///
/// # Errors
/// As there.
pub(crate) fn notes_on(
    name: InstanceName,
    folder: &Path,
    settings: &Application,
    notes: fn(&Script, &Application) -> Vec<String>,
) -> Result<Vec<String>, Failure> {
    let mut settings = settings.clone();
    settings.script.time.get_or_insert(MAX_TIME);
    let work = || {
        let (settings, registry) = (Arc::new(settings), Arc::new(InMemory::default()));
        let instance = Instance::new(
            name.clone(),
            Arc::clone(&settings),
            Arc::new(NoWorkers),
            registry,
            Arc::default(),
            Arc::default(),
            Instant::now(),
        );
        let notes = Script::load(&Rc::new(instance), folder).map(|script| notes(&script, &settings))?;
        idle_handlers::news(&name, notes.clone());
        Ok(notes)
    };
    let failure = |message: &str| Failure { message: message.to_owned(), ..Failure::default() };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("script-check".to_owned()).stack_size(STACK);
        match thread.spawn_scoped(scope, work) {
            Ok(thread) => thread.join().unwrap_or_else(|_| Err(failure("the thread that checked the script panicked"))),
            Err(error) => Err(failure(&format!("the thread that checks the script cannot be started: {error}"))),
        }
    })
}
