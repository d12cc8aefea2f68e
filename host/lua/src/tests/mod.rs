//! Scripts at the level of the host: no network.

mod bounds;
mod called_back;
mod document;
mod errors;
mod group_specifier;
mod host;
mod hostile;
mod lifetimes;
mod names;
mod order;
mod outbox;
mod reload;
mod shipped;
mod standard;
mod values;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::instance::journal::JournalEntry;
use crate::testing::Effect;
use crate::testing::{self, Stage};
use introd_config::Application;
use introd_policy::message::ClientCommand;

/// A folder with a script, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(main: &str) -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("introd-script-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let folder = Self(path);
        folder.write("main.lua", main);
        folder
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A script on its stage.
struct Scene {
    folder: Folder,
    stage: Stage,
}

fn settings(change: impl FnOnce(&mut Application)) -> Application {
    let mut settings = testing::settings();
    // Enough for any handler that ends, on a busy machine; little for one that does not.
    settings.script.time = Some(Duration::from_millis(300));
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
            JournalEntry::Failure(handler, failure) => panic!("{handler}: {failure}"),
        };
        self.journal().into_iter().map(line).collect()
    }

    /// The errors, each with its handler, file and line.
    fn failures(&self) -> Vec<(String, String, usize, String)> {
        let failure = |entry| match entry {
            JournalEntry::Trace(_) => None,
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
