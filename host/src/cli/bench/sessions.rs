//! `introd bench sessions`: measures the memory of each of many clients that connect and then send nothing.

use std::time::{Duration, Instant};

use super::bounds::Bounds;
use super::client::{FleetOptions, Goal, Outcome};
use super::fleet::Fleet;
use super::process::Process;
use super::report::{Meter, Progress, Report, Tally};
use super::sources::Sources;

pub(super) fn run(
    options: FleetOptions,
    bounds: &Bounds,
    idle: Duration,
    process: Option<Process>,
) -> anyhow::Result<Report> {
    let wanted = bounds.count.unwrap_or(1) as usize;
    let sources = Sources::new(&options.addresses(), &[wanted])?;
    let count = sources.count();
    if count < wanted {
        introd_log::complain(&format!(
            "introd: the limit on open files allows {count} sessions; raise it with ulimit -n\n"
        ));
    }
    let mut fleet = Fleet::new(options, sources)?;
    let before = process.map(Process::resident).transpose()?;
    let meter = Meter::start(process)?;
    let (lost, reached) = connect_all(&mut fleet, count, bounds)?;
    let mut tally = Tally { lost, ..Tally::default() };
    reached.into_iter().for_each(|latency| tally.add(latency));
    let (stopped, done) = (meter.stop(), tally.done);
    let report = stopped.report("sessions", &tally)?;

    let mut progress = Progress::new("idle", None, idle);
    let begin = Instant::now();
    while begin.elapsed() < idle {
        progress.show(Instant::now(), done);
        fleet.step(Duration::from_millis(100), |_, _| ())?;
    }
    let mut closed = 0u64;
    while let Some((_, outcome)) = fleet.poll_outcome() {
        closed += u64::from(matches!(outcome, Outcome::Failed(_)));
    }
    anyhow::ensure!(closed == 0, "the server closed {closed} idle sessions");
    let after = process.map(Process::resident).transpose()?;
    let grown = before.zip(after).map(|(before, after)| after.saturating_sub(before) as f64 / done as f64);
    drop(progress);
    fleet.end_all();
    Ok(report.with_memory(grown))
}

/// Connects `count` clients; returns how many did not get there, and how long the others took.
pub(super) fn connect_all(fleet: &mut Fleet, count: usize, bounds: &Bounds) -> anyhow::Result<(u64, Vec<Duration>)> {
    let mut progress = Progress::new("sessions", Some(count as u64), bounds.duration);
    let (mut begun, mut lost) = (0usize, 0u64);
    let mut reached = Vec::with_capacity(count);
    let begin = Instant::now();
    while reached.len() as u64 + lost < count as u64 {
        let under_way = begun - reached.len() - lost as usize;
        for _ in under_way..bounds.window.min(under_way + count - begun) {
            fleet.begin(begun, Goal::Connected);
            begun += 1;
        }
        fleet.step(Duration::from_millis(10), |_, _| ())?;
        let now = Instant::now();
        progress.show(now, reached.len() as u64);
        while let Some((source, outcome)) = fleet.poll_outcome() {
            match outcome {
                Outcome::Keyed(_) | Outcome::Delivered(_) => (),
                Outcome::Reached(latency) => reached.push(latency),
                Outcome::Failed(_) if fleet.peer(source).is_none() => (),
                Outcome::Failed(why) => {
                    anyhow::ensure!(!reached.is_empty() || lost < 10, "clients cannot connect: {why}");
                    lost += 1;
                    fleet.end(source);
                }
            }
        }
        anyhow::ensure!(
            now - begin < bounds.duration,
            "only {} of {count} clients are connected after {} s",
            reached.len(),
            bounds.duration.as_secs()
        );
    }
    Ok((lost, reached))
}
