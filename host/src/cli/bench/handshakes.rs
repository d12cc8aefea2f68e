//! `introd bench handshakes`: hello, cookie, keying, again and again, each with another identity from another address.

use std::time::{Duration, Instant};

use super::Bounds;
use super::fleet::{Fleet, FleetOptions, Goal, Outcome};
use super::process::Process;
use super::report::{Latencies, Meter, Progress, Report};
use super::sources::Sources;

/// Where each source needs a socket, a source is used again after so many others.
const SOURCES: usize = 1 << 20;
/// What is under way when the load ends is waited for as long.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn run(options: FleetOptions, bounds: &Bounds, process: Option<Process>) -> anyhow::Result<Report> {
    let sources = Sources::new(options.server, SOURCES)?;
    let count = sources.count();
    let mut fleet = Fleet::new(FleetOptions { goal: Goal::Opened, ..options }, sources)?;
    let mut latencies = Latencies::new();
    let mut progress = Progress::new("handshakes", bounds.count, bounds.duration);
    let (mut begun, mut done, mut lost) = (0u64, 0u64, 0u64);
    let meter = Meter::start(process)?;
    let begin = Instant::now();
    loop {
        let now = Instant::now();
        progress.show(now, done);
        let is_over = now - begin >= bounds.duration || bounds.count.is_some_and(|count| begun >= count);
        if is_over && (fleet.len() == 0 || now - begin >= bounds.duration + PATIENCE) {
            break;
        }
        while !is_over && fleet.len() < bounds.window && bounds.count.is_none_or(|count| begun < count) {
            fleet.begin(begun as usize % count);
            begun += 1;
        }
        fleet.step(Duration::from_millis(10), |_, _| ())?;
        while let Some((source, outcome)) = fleet.poll_outcome() {
            match outcome {
                Outcome::Keyed(latency) => latencies.add(latency),
                Outcome::Reached(_) => {
                    done += 1;
                    fleet.end(source);
                }
                // By this end, just now.
                Outcome::Failed(_) if fleet.peer(source).is_none() => (),
                Outcome::Failed(why) => {
                    tracing::debug!(source, why, "handshake failed");
                    lost += 1;
                    fleet.end(source);
                }
            }
        }
    }
    lost += fleet.len() as u64;
    let stopped = meter.stop();
    fleet.end_all();
    if let Some(process) = process {
        // A server that makes keys ahead of time is to be charged for them.
        process.wait_until_idle(|wait| fleet.step(wait, |_, _| ()))?;
    }
    stopped.report("handshakes", done, lost, &latencies)
}
