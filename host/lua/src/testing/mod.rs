//! `introd test`: scripts' own tests.
//!
//! A file `*_test.lua` beside a script describes what the script does, in the words of busted: `describe`, `it`, `before_each`,
//! `after_each`, `assert`. The script runs in a VM as on a server, with its real limits; its clients are made up, and its clock
//! stands still until the test advances it. Several made-up servers can meet in a made-up network.

mod commands;
mod files;
mod network;
mod options;
mod outside;
mod server;
mod stage;
mod theatre;
mod web;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlua::{Function, MultiValue, Table};

use crate::api::script::{Purpose, Script};
use crate::engine::failure::Failure;
use crate::engine::limits::{Budget, STACK};
use crate::engine::loading::Sources;
use crate::engine::vm::Progress;
use crate::instance::Instance;
use introd_policy::registry::InMemory;

#[cfg(test)]
pub(crate) use server::Effect;
#[cfg(test)]
pub(crate) use stage::Stage;
#[cfg(test)]
pub(crate) use stage::{Scenery, Sent, application as settings, instance_name};
use theatre::Theatre;

/// How long one test may run, and how much memory all tests of a file may use.
const TIME: Duration = Duration::from_secs(10);
const MEMORY: usize = 256 << 20;

/// Runs all tests in a folder and writes how they went. Gives back whether there are tests and all have passed.
///
/// # Errors
/// If the folder cannot be read, or `out` not be written to.
pub fn run(folder: &Path, out: &mut (impl Write + Send)) -> io::Result<bool> {
    run_within(folder, out, TIME)
}

/// The same, with so much time for each test.
pub(crate) fn run_within(folder: &Path, out: &mut (impl Write + Send), time: Duration) -> io::Result<bool> {
    // Scripts need more stack than a thread has by default.
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || run_here(folder, out, time))?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread of the tests panicked")))
    })
}

fn run_here(folder: &Path, out: &mut impl Write, time: Duration) -> io::Result<bool> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.retain(|path| path.to_string_lossy().ends_with("_test.lua"));
    files.sort();
    // A script that does not load fails the tests below.
    for note in crate::check(stage::instance_name(folder), folder, &stage::application()).unwrap_or_default() {
        writeln!(out, "note  {note}")?;
    }
    let (mut passed, mut failed) = (0, 0);
    for file in &files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        match TestFile::load(folder, &name, time) {
            Ok(file) => {
                for test in file.tests() {
                    match file.run(&test) {
                        Ok(()) => {
                            passed += 1;
                            writeln!(out, "ok    {name}: {}", test.name)?;
                        }
                        Err((failure, said)) => {
                            failed += 1;
                            writeln!(out, "FAIL  {name}: {}\n      {failure}", test.name)?;
                            // What the script has written helps to understand why.
                            said.iter().try_for_each(|line| writeln!(out, "      > {line}"))?;
                        }
                    }
                }
            }
            Err(failure) => {
                failed += 1;
                writeln!(out, "FAIL  {name}\n      {failure}")?;
            }
        }
    }
    if files.is_empty() {
        writeln!(out, "there is no *_test.lua in {}", folder.display())?;
    }
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(passed > 0 && failed == 0)
}

/// A file of tests, loaded.
struct TestFile {
    script: Script,
    tests: Table,
    theatre: Rc<RefCell<Theatre>>,
}

struct Test {
    name: String,
    steps: Vec<Function>,
    cleanup: Vec<Function>,
}

impl TestFile {
    fn load(folder: &Path, name: &str, time: Duration) -> Result<Self, Failure> {
        let theatre: Rc<RefCell<Theatre>> = Rc::default();
        let instance = Instance::new(
            stage::instance_name(folder),
            Arc::new(stage::application()),
            Arc::new(stage::Recorder::default()),
            Arc::new(InMemory::default()),
            Arc::default(),
            Arc::default(),
            Instant::now(),
        );
        let sources = Sources::new(folder, &[]);
        let made = Script::new(&Rc::new(instance), Budget::new(Some(time), MEMORY), sources).and_then(|script| {
            let lua = script.lua();
            let native = commands::natives(lua, &script.state, &theatre, folder)?;
            let tests = lua.create_table()?;
            let prelude = lua.load(include_str!("testing.lua")).set_name("=introd");
            prelude.call::<()>((native, &tests))?;
            let main = script.vm.context.sources.load(lua, name)?;
            Ok((script, tests, main))
        });
        let (script, tests, main) = made.map_err(|error| Failure::from(&error))?;
        script.run_now(&main)?;
        Ok(Self { script, tests, theatre })
    }

    fn tests(&self) -> Vec<Test> {
        let read = |test: Table| -> mlua::Result<Test> {
            Ok(Test { name: test.raw_get("name")?, steps: test.raw_get("steps")?, cleanup: test.raw_get("cleanup")? })
        };
        self.tests.sequence_values::<Table>().filter_map(|test| read(test.ok()?).ok()).collect()
    }

    /// Runs a test. If it fails: why, and the last lines of its scripts.
    fn run(&self, test: &Test) -> Result<(), (Failure, VecDeque<String>)> {
        let mut result = test.steps.iter().try_for_each(|step| self.step(step));
        for step in &test.cleanup {
            result = result.and(self.step(step));
        }
        let mut theatre = self.theatre.take();
        result.map_err(|failure| (failure, theatre.take_said()))
    }

    fn step(&self, step: &Function) -> Result<(), Failure> {
        match self.script.start(Purpose::Other("test"), step, MultiValue::new()) {
            Progress::Ended(_, result) => result.map(drop),
            Progress::Waits => {
                Err(Failure { message: "a test cannot wait; advance the clock".to_owned(), ..Failure::default() })
            }
        }
    }
}
