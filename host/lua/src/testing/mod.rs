//! `introd test`: scripts' own tests.
//!
//! A file `*_test.lua` beside a script describes what the script does, in the words of busted: `describe`, `it`, `before_each`,
//! `after_each`, `assert`. The script runs in a VM as on a server, with its real limits; its clients are made up, and its clock
//! stands still until the test advances it. Several made-up servers can meet in a made-up network.

mod commands;
mod counted;
mod files;
mod folders;
mod network;
mod options;
mod output;
mod outside;
mod server;
mod settings;
mod stage;
mod test_file;
mod theatre;
mod web;

use crate::api::idle_handlers;
use crate::checking;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use crate::engine::limits::STACK;

#[cfg(test)]
pub(crate) use server::Effect;
#[cfg(test)]
pub(crate) use settings::{application as settings, instance_name};
#[cfg(test)]
pub(crate) use stage::Stage;
#[cfg(test)]
pub(crate) use stage::{Scenery, Sent};
use test_file::TestFile;

/// How tests are run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether it is written what tests print that pass.
    pub show_output: bool,
    /// How long one test may run.
    pub time: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { show_output: false, time: Duration::from_secs(10) }
    }
}

/// How many tests have passed and failed.
#[derive(Clone, Copy, Default)]
struct Count {
    passed: usize,
    failed: usize,
}

/// Runs all tests in these files, in these folders and in those below them, and writes how they went. Gives back whether there are tests and all have passed.
///
/// # Errors
/// If a file or folder cannot be read, or `out` not be written to.
pub fn run(paths: &[PathBuf], options: Options, out: &mut (impl Write + Send)) -> io::Result<bool> {
    // Scripts need more stack than a thread has by default.
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || run_here(paths, options, out))?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread of the tests panicked")))
    })
}

fn run_here(paths: &[PathBuf], options: Options, out: &mut impl Write) -> io::Result<bool> {
    let mut found = folders::Found::default();
    for path in paths {
        let inside = folders::find(path)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        if inside.applications.is_empty() {
            writeln!(out, "there is no *_test.lua in {}", path.display())?;
            found.untested.push(path.clone());
        } else {
            found.applications.extend(inside.applications);
            for untested in inside.untested {
                writeln!(out, "note  {} has a script and no tests", untested.display())?;
            }
        }
    }
    let mut total = Count::default();
    for application in &found.applications {
        if found.applications.len() > 1 {
            writeln!(out, "{}:", application.folder.display())?;
        }
        let Count { passed, failed } = run_application(application, options, out)?;
        writeln!(out, "{passed} passed, {failed} failed")?;
        total.passed += passed;
        total.failed += failed;
    }
    let Count { passed, failed } = total;
    match found.applications.len() {
        0 => writeln!(out, "0 passed, 0 failed")?,
        1 => (),
        applications => writeln!(out, "\nin {applications} applications: {passed} passed, {failed} failed")?,
    }
    // A folder that was named and in which nothing was tested has not passed.
    let is_any_empty = paths.iter().any(|path| found.untested.contains(path));
    Ok(passed > 0 && failed == 0 && !is_any_empty)
}

/// Runs the tests of one application.
fn run_application(application: &folders::Tested, options: Options, out: &mut impl Write) -> io::Result<Count> {
    let folder = application.folder.as_path();
    let settings = match settings::of_folder(folder) {
        Ok((settings, warnings)) => {
            for warning in warnings {
                writeln!(out, "note  {warning}")?;
            }
            settings
        }
        Err(problems) => {
            writeln!(out, "FAIL  Application.xml\n      {}", problems.replace('\n', "\n      "))?;
            return Ok(Count { passed: 0, failed: 1 });
        }
    };
    // A script that does not load fails the tests below.
    // Without a file of settings, all handlers are called that there are, and none is demanded.
    let notes = if folder.join("Application.xml").exists() { idle_handlers::notes } else { idle_handlers::of_defined };
    let name = settings::instance_name(folder);
    for note in checking::notes_on(name, folder, &settings, notes).unwrap_or_default() {
        writeln!(out, "note  {note}")?;
    }
    let mut count = Count::default();
    for name in &application.files {
        match TestFile::load(folder, name, options.time) {
            Ok(file) => {
                for test in file.tests() {
                    let result = file.run(&test);
                    let (outcome, place) = match &result {
                        Ok(()) => ("ok    ", &mut count.passed),
                        Err(_) => ("FAIL  ", &mut count.failed),
                    };
                    *place += 1;
                    writeln!(out, "{outcome}{name}: {}", test.name)?;
                    if let Err(failure) = &result {
                        writeln!(out, "      {failure}")?;
                    }
                    let lines = file.take_output();
                    if options.show_output || result.is_err() {
                        lines.iter().try_for_each(|line| writeln!(out, "      | {line}"))?;
                    }
                }
                for warning in file.take_warnings() {
                    writeln!(out, "note  {warning}")?;
                }
            }
            Err(failure) => {
                count.failed += 1;
                writeln!(out, "FAIL  {name}\n      {failure}")?;
            }
        }
    }
    Ok(count)
}
