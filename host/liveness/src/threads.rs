//! Starting the threads that are watched.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::failure::fail;
use super::watched::{AtStandstill, Pulse};

/// The maximum number of restarts within [`RESTART_WINDOW`]. A thread that panics more often ends the process.
const MAX_RESTARTS: usize = 5;
const RESTART_WINDOW: Duration = Duration::from_secs(60);

/// Starts a watched thread that cannot be restarted: if it panics or returns an error, the process ends.
///
/// # Errors
/// If the thread cannot be started.
pub fn spawn_once(
    name: &str,
    stack_size: Option<usize>,
    at_standstill: AtStandstill,
    work: impl FnOnce(&Pulse) -> anyhow::Result<()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let pulse = Pulse::new(name, at_standstill);
    start(name, stack_size, move || {
        pulse.watch();
        let result = catch_unwind(AssertUnwindSafe(|| work(&pulse)));
        pulse.end();
        match result {
            Ok(Ok(())) => (),
            Ok(Err(error)) => fail(&format!("the thread {} cannot go on: {error:#}", pulse.name())),
            Err(panic) => fail(&format!("the thread {} panicked: {}", pulse.name(), message(&*panic))),
        }
    })
}

/// Starts a watched thread that is restarted when it panics, because that loses nothing. If it panics again and again, or if it returns
/// an error, the process ends.
///
/// # Errors
/// If the thread cannot be started.
pub fn spawn(
    name: &str,
    at_standstill: AtStandstill,
    mut work: impl FnMut(&Pulse) -> anyhow::Result<()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let mut panics: Vec<Instant> = Vec::new();
    spawn_once(name, None, at_standstill, move |pulse| {
        loop {
            let panic = match catch_unwind(AssertUnwindSafe(|| work(pulse))) {
                Ok(result) => return result,
                Err(panic) => panic,
            };
            let now = Instant::now();
            panics.retain(|at| now.saturating_duration_since(*at) < RESTART_WINDOW);
            panics.push(now);
            let why = message(&*panic);
            anyhow::ensure!(
                panics.len() <= MAX_RESTARTS,
                "it panicked {} times within a minute, last: {why}",
                panics.len()
            );
            tracing::error!(thread = pulse.name(), "a thread panicked and is restarted: {why}");
        }
    })
}

fn start(name: &str, stack_size: Option<usize>, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let builder = Builder::new().name(name.to_owned());
    let builder = match stack_size {
        Some(bytes) => builder.stack_size(bytes),
        None => builder,
    };
    builder.spawn(work)
}

/// The message of a panic.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}
