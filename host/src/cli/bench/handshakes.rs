//! `introd bench handshakes`: hello, cookie, keying, again and again, each with another identity from another address.

use std::time::{Duration, Instant};

use super::bounds::Bounds;
use super::client::{FleetOptions, Goal, Outcome};
use super::fleet::Fleet;
use super::process::Process;
use super::report::{Meter, Progress, Report, Tally};
use super::sources::Sources;

/// How many sources there are, if each needs a socket.
const SOURCES: usize = 1 << 20;
/// How long pending handshakes are waited for when the load ends.
const END_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn run(options: FleetOptions, bounds: &Bounds, process: Option<Process>) -> anyhow::Result<Report> {
    let sources = Sources::new(&options.addresses(), &[SOURCES])?;
    let count = sources.count();
    let mut fleet = Fleet::new(options, sources)?;
    let mut tally = Tally::default();
    let mut progress = Progress::new("handshakes", bounds.count, bounds.duration);
    let mut begun = 0u64;
    let meter = Meter::start(process)?;
    let begin = Instant::now();
    loop {
        let now = Instant::now();
        progress.show(now, tally.done);
        let is_over = now - begin >= bounds.duration || bounds.count.is_some_and(|count| begun >= count);
        if is_over && (fleet.len() == 0 || now - begin >= bounds.duration + END_TIMEOUT) {
            break;
        }
        while !is_over && fleet.len() < bounds.window && bounds.count.is_none_or(|count| begun < count) {
            fleet.begin(begun as usize % count, Goal::Opened);
            begun += 1;
        }
        fleet.step(Duration::from_millis(10), |_, _| ())?;
        while let Some((source, outcome)) = fleet.poll_outcome() {
            match outcome {
                Outcome::Keyed(latency) => tally.latencies.add(latency),
                Outcome::Reached(_) | Outcome::Delivered(_) => {
                    tally.done += 1;
                    fleet.end(source);
                }
                // This end has just closed it.
                Outcome::Failed(_) if fleet.peer(source).is_none() => (),
                Outcome::Failed(why) => {
                    tracing::debug!(source, why, "handshake failed");
                    tally.lost += 1;
                    fleet.end(source);
                }
            }
        }
    }
    tally.lost += fleet.len() as u64;
    let stopped = meter.stop();
    fleet.end_all();
    if let Some(process) = process {
        // A server may make keys ahead of time: that work counts, too.
        process.wait_until_idle(|wait| fleet.step(wait, |_, _| ()))?;
    }
    stopped.report("handshakes", &tally)
}
