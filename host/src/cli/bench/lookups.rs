//! `introd bench lookups`: hellos that ask for connected peers, from many addresses; redirects and forwarded hellos come back.

use std::time::{Duration, Instant};

use rtmfp::crypto::Epd;

use super::bounds::Bounds;
use super::client::FleetOptions;
use super::fleet::Fleet;
use super::lookup_load::LookupLoad;
use super::process::Process;
use super::report::{Meter, Progress, Report};
use super::sessions::connect_all;
use super::sources::Sources;

/// The load before the clock starts: caches fill, processors clock up.
const WARM_UP: Duration = Duration::from_millis(300);
/// How many peers connect at the same time.
const CONNECTING: usize = 32;
/// The timeout for all of them to connect.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3600);

/// Loads the servers with lookups of `connections` connected peers, from `askers` other addresses.
pub(super) fn run(
    options: FleetOptions,
    bounds: &Bounds,
    connections: usize,
    askers: usize,
    process: Option<Process>,
) -> anyhow::Result<Report> {
    let (mut fleet, mut load) = connected(options, connections, askers, 0)?;
    work(&mut fleet, &mut load, &Bounds { duration: WARM_UP, count: None, ..*bounds }, None)?;
    load.reset();
    let forwarded = fleet.forwarded();
    let mut progress = Progress::new("lookups", bounds.count, bounds.duration);
    let meter = Meter::start(process)?;
    work(&mut fleet, &mut load, bounds, Some(&mut progress))?;
    let report = meter.stop().report("lookups", &load.tally)?;
    drop(progress);
    // Forwards may be behind the redirects.
    fleet.step(Duration::from_millis(50), |_, _| ())?;
    let forwarded = fleet.forwarded() - forwarded;
    fleet.end_all();
    Ok(report.with_connections(connections).with_forwarded(forwarded))
}

/// Connects peers, and prepares lookups of them from `askers` addresses. The fleet has `more` sources besides.
pub(super) fn connected(
    options: FleetOptions,
    connections: usize,
    askers: usize,
    more: usize,
) -> anyhow::Result<(Fleet, LookupLoad)> {
    let servers = options.addresses();
    // Each server needs an asker.
    let askers = askers.max(servers.len());
    let sources = Sources::new(&servers, &[connections + askers + more])?;
    anyhow::ensure!(
        sources.count() >= connections + askers + more.min(1),
        "the limit on open files is too low for {connections} connections: raise it with ulimit -n, or use an IPv4 loopback address"
    );
    let mut fleet = Fleet::new(options, sources)?;
    let bounds = Bounds { window: CONNECTING, duration: CONNECT_TIMEOUT, count: None };
    let (lost, _) = connect_all(&mut fleet, connections, &bounds)?;
    anyhow::ensure!(lost == 0, "{lost} of {connections} peers could not connect");
    let epds = (0..connections).filter_map(|target| fleet.peer(target)).map(Epd::fingerprint).collect();
    let load = LookupLoad::new(servers, epds, (connections, askers));
    Ok((fleet, load))
}

/// Loads the server until the bounds are reached and each lookup is answered or lost.
fn work(
    fleet: &mut Fleet,
    load: &mut LookupLoad,
    bounds: &Bounds,
    mut progress: Option<&mut Progress>,
) -> anyhow::Result<()> {
    let begin = Instant::now();
    let mut sent = 0u64;
    loop {
        let now = Instant::now();
        if let Some(progress) = &mut progress {
            progress.show(now, load.tally.done);
        }
        load.give_up(now);
        let is_over = now - begin >= bounds.duration || bounds.count.is_some_and(|count| sent >= count);
        if is_over && load.waiting() == 0 {
            return Ok(());
        }
        if !is_over {
            // One batch at a time, so that answers are read soon after they arrive.
            for _ in load.waiting()..bounds.window.min(load.waiting() + 64) {
                if bounds.count.is_some_and(|count| sent >= count) {
                    break;
                }
                load.ask(fleet, now);
                sent += 1;
            }
        }
        fleet.step(Duration::from_millis(10), |_, datagram| load.take(datagram))?;
    }
}
