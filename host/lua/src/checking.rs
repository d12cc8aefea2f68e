//! Whether a script loads, found out before it is put to work.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::script::Script;
use crate::engine::failure::Failure;
use crate::engine::limits::STACK;
use crate::instance::Instance;
use introd_config::Application;
use introd_policy::InstanceName;
use introd_policy::message::{ClientCommand, Commands, SendError};
use introd_policy::registry::InMemory;
use introd_policy::{RequestId, Verdict};

/// How long the outermost part of a script may run that has no limit of its own.
const LONGEST: Duration = Duration::from_secs(10);

/// A script that is only looked at reaches nobody.
struct Nobody;

impl Commands for Nobody {
    fn decide(&self, _: RequestId, _: Verdict) {}

    fn send(&self, _: ClientCommand) -> Result<(), SendError> {
        Err(SendError::Stopped)
    }

    fn count_lost(&self, _: u8) {}
}

/// Loads the script in a folder as an instance would, up to where it would start, and forgets it. Nothing that it does by then
/// reaches anything outside.
///
/// # Errors
/// What is wrong with it.
pub fn check(name: InstanceName, folder: &Path, settings: &Application) -> Result<(), Failure> {
    let mut settings = settings.clone();
    settings.script.time.get_or_insert(LONGEST);
    let work = || {
        let (settings, registry) = (Arc::new(settings), Arc::new(InMemory::default()));
        let instance =
            Instance::new(name, settings, Arc::new(Nobody), registry, Arc::default(), Arc::default(), Instant::now());
        Script::load(&Rc::new(instance), folder).map(drop)
    };
    let failure = |message: &str| Failure { message: message.to_owned(), ..Failure::default() };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("script-check".to_owned()).stack_size(STACK);
        match thread.spawn_scoped(scope, work) {
            Ok(thread) => {
                thread.join().unwrap_or_else(|_| Err(failure("the script broke the thread that looked at it")))
            }
            Err(error) => Err(failure(&format!("there is no thread to look at the script: {error}"))),
        }
    })
}
