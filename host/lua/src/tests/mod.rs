//! Scripts at the level of the host: no network.

mod acceptance;
mod ams_members;
mod bounds;
mod called_back;
mod connect_default;
mod deferred;
mod document;
mod ending;
mod errors;
mod files;
mod forgetting;
mod group_specifier;
mod host;
mod hostile;
mod http;
mod idle_handlers;
mod libraries;
mod lifetimes;
mod lookups_together;
mod made_up_network;
mod made_up_outside;
mod memory;
mod names;
mod net_connections;
mod order;
mod outbox;
mod publishing;
mod relays;
mod reload;
mod remote_methods;
mod shared_groups;
mod shipped;
mod standard;
mod standstill;
mod starting;
mod takeover;
mod test_runner;
mod timers;
mod values;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::instance::journal::JournalEntry;
use crate::testing::Effect;
use crate::testing::{self, Stage};
use introd_config::Application;
use introd_policy::message::{AppEvent, ClientCommand, ClientId, ClientInfo, Commands, SendError};
use introd_policy::{InstanceName, RequestId, Verdict};
use tempfile::TempDir;

/// A folder with a script, gone when dropped.
struct Folder(TempDir);

impl Folder {
    fn new(main: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("main.lua", main);
        folder
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A client, and what is known of it.
pub(crate) fn a_client() -> (ClientId, ClientInfo) {
    scene("").stage.next_client()
}

/// The name of an instance.
pub(crate) fn instance_name(application: &str) -> InstanceName {
    host::name(application, "1")
}

/// A lookup, with a number of its own.
pub(crate) fn a_lookup() -> AppEvent {
    host::lookup()
}

/// A worker without room for commands, which keeps the verdicts.
#[derive(Default)]
pub(crate) struct Sink {
    verdicts: Mutex<Vec<Verdict>>,
    lost: AtomicU32,
}

impl Sink {
    /// How many requests have failed.
    pub(crate) fn failed(&self) -> usize {
        let verdicts = self.verdicts.lock().unwrap();
        verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Failed(_))).count()
    }

    /// How many commands were lost.
    pub(crate) fn lost(&self) -> u32 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Commands for Sink {
    fn decide(&self, _: RequestId, verdict: Verdict) {
        self.verdicts.lock().unwrap().push(verdict);
    }

    fn send(&self, command: ClientCommand) -> Result<(), SendError> {
        Err(SendError::Full(Box::new(command)))
    }

    fn count_lost(&self, _: u8) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }
}

/// A script on its stage.
struct Scene {
    folder: Folder,
    stage: Stage,
}

fn settings(change: impl FnOnce(&mut Application)) -> Application {
    let mut settings = testing::settings();
    // No handler that ends takes as long, however busy the machine is. Tests of those that do not end have limits of their own.
    settings.script.time = Some(Duration::from_secs(30));
    change(&mut settings);
    settings
}

fn scene(main: &str) -> Scene {
    scene_with(main, |_| ())
}

fn scene_with(main: &str, change: impl FnOnce(&mut Application)) -> Scene {
    let folder = Folder::new(main);
    let stage = Stage::start(folder.path(), settings(change)).unwrap_or_else(|failure| panic!("{failure}"));
    Scene { folder, stage }
}

impl Scene {
    fn sent(&mut self) -> Vec<Effect> {
        self.stage.take()
    }

    fn journal(&self) -> Vec<JournalEntry> {
        self.stage.runtime.instance.journal.take()
    }

    /// The lines that the script traced; it is wrong if anything failed.
    fn traces(&self) -> Vec<String> {
        let line = |entry| match entry {
            JournalEntry::Trace(line) => line,
            JournalEntry::Line(level, line) => format!("{} {line}", level.name()),
            JournalEntry::Warning(line) => panic!("{line}"),
            JournalEntry::Failure(handler, failure) => panic!("{handler}: {failure}"),
        };
        self.journal().into_iter().map(line).collect()
    }

    /// The errors, each with its handler, file and line.
    fn failures(&self) -> Vec<(String, String, usize, String)> {
        let failure = |entry| match entry {
            JournalEntry::Trace(_) | JournalEntry::Line(..) | JournalEntry::Warning(_) => None,
            JournalEntry::Failure(handler, failure) => {
                Some((handler, failure.file.clone(), failure.line, failure.to_string()))
            }
        };
        self.journal().into_iter().filter_map(failure).collect()
    }

    fn advance(&mut self, milliseconds: u64) {
        self.stage.advance(Duration::from_millis(milliseconds));
    }
}
