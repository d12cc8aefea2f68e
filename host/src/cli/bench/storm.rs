//! `introd bench storm`: the clients of a server that was started again come back all at once, while others are connected and look each other up.
//!
//! Each newcomer does what a real client does: hello, keying, `connect`, `setPeerInfo`, the join of a group, and the lookup of a peer. What is
//! not answered is sent again after 1 s, then 2.5 s later, then 4 s later and so on, as RFC 7016 §3.5.1.1.1 has it, until the client gives up
//! after 95 s.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use introd_netgroup::GroupDigest;
use rtmfp::crypto::Epd;

use super::bounds::Bounds;
use super::client::{FleetOptions, Goal, Outcome};
use super::fleet::Fleet;
use super::lookup_load::{ANSWER_TIMEOUT, LookupLoad};
use super::lookups::CONNECT_TIMEOUT;
use super::process::Process;
use super::report::{Meter, Progress, Tally};
use super::sessions::connect_all;
use super::sources::Sources;
use super::storm_report::{Others, StormReport};

/// How many of the others connect at the same time, before the storm.
const CONNECTING: usize = 32;
/// How many newcomers begin before the sockets are looked at again.
const BEGIN_AT_ONCE: usize = 32;
/// In the numbers of newcomers' lookups; the rest is the newcomer's source.
const NEWCOMER: u64 = 1 << 63;
/// How long the first answer to a lookup is waited for; each repetition is waited for this much longer than the one before.
const FIRST_WAIT: Duration = Duration::from_millis(1000);
const MORE_WAIT: Duration = Duration::from_millis(1500);
/// The longest wait for something to come in: the lookups of the others are due at times of their own.
const TICK: Duration = Duration::from_millis(1);

/// What kind of storm it is to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct StormOptions {
    /// How many clients come back.
    pub(super) newcomers: usize,
    /// How many are connected before.
    pub(super) others: usize,
    /// Each of the others looks one of them up once in this time.
    pub(super) interval: Duration,
    /// The time over which the newcomers begin.
    pub(super) spread: Duration,
    /// The groups that newcomers join by turns.
    pub(super) groups: usize,
    /// When the run ends, though some may not be in.
    pub(super) limit: Duration,
}

pub(super) fn run(
    options: FleetOptions,
    storm: &StormOptions,
    process: Option<Process>,
) -> anyhow::Result<StormReport> {
    let servers = options.addresses();
    // Each of the others has another to look up at its own server.
    let others = storm.others.next_multiple_of(servers.len()).max(2 * servers.len());
    let sources = Sources::new(&servers, &[others, storm.newcomers])?;
    anyhow::ensure!(
        sources.count() == others + storm.newcomers,
        "the limit on open files allows {} clients: raise it with ulimit -n, or use a server at an IPv4 loopback address",
        sources.count()
    );
    let mut fleet = Fleet::new(options, sources)?;
    let bounds = Bounds { window: CONNECTING, duration: CONNECT_TIMEOUT, count: None };
    let (lost, _) = connect_all(&mut fleet, others, &bounds)?;
    anyhow::ensure!(lost == 0, "{lost} of the others could not connect before the storm");

    let mut epds: Vec<_> = (0..others).filter_map(|source| fleet.peer(source)).map(Epd::fingerprint).collect();
    let targets = epds.clone();
    // A client asks for the next one at its server, not for itself.
    epds.rotate_left(servers.len());
    let before = process.map(Process::resident).transpose()?;
    let mut run = Storm {
        lookups: LookupLoad::new(servers, epds, (0, others)),
        fleet,
        targets,
        options: *storm,
        first: others,
        begun: 0,
        arrived: Tally::default(),
        is_in: vec![false; storm.newcomers],
        last_arrival: Duration::ZERO,
        gave_up: BTreeMap::new(),
        closed_others: 0,
        searches: HashMap::new(),
        repeats: BinaryHeap::new(),
        repeated_lookups: 0,
    };
    let mut progress = Progress::new("clients", Some(storm.newcomers as u64), storm.limit);
    let meter = Meter::start(process)?;
    run.work(&mut progress)?;
    let stopped = meter.stop();
    drop(progress);
    let after = process.map(Process::resident).transpose()?;
    let grown = before.zip(after).map(|(before, after)| after.saturating_sub(before));
    let report = run.report(&stopped, process, grown)?;
    run.fleet.end_all();
    Ok(report)
}

/// A newcomer that is connected and looks a peer up.
struct Search {
    /// How long it took to connect.
    connected: Duration,
    begun: Instant,
    wait: Duration,
}

struct Storm {
    fleet: Fleet,
    /// Those of the others.
    lookups: LookupLoad,
    /// The endpoint discriminators of the others.
    targets: Vec<[u8; 34]>,
    options: StormOptions,
    /// The source of the first newcomer.
    first: usize,
    begun: usize,
    /// The newcomers that are in, and after how long.
    arrived: Tally,
    /// Whether each newcomer is in.
    is_in: Vec<bool>,
    /// When the last of them was in, after the beginning of the storm.
    last_arrival: Duration,
    /// The newcomers that failed, by reason.
    gave_up: BTreeMap<String, u64>,
    closed_others: u64,
    searches: HashMap<usize, Search>,
    /// When searches are repeated, if they are not answered.
    repeats: BinaryHeap<Reverse<(Instant, usize)>>,
    repeated_lookups: u64,
}

impl Storm {
    /// Runs until each newcomer is in or has given up, or the time is up.
    fn work(&mut self, progress: &mut Progress) -> anyhow::Result<()> {
        let begin = Instant::now();
        let per_second = self.first as f64 / self.options.interval.as_secs_f64().max(1e-3);
        let mut asked = 0u64;
        loop {
            let now = Instant::now();
            let elapsed = now - begin;
            progress.show(now, self.arrived.done);
            if self.settled() >= self.options.newcomers || elapsed >= self.options.limit {
                // The lookups of the others that are under way are waited for.
                if self.lookups.waiting() == 0 || elapsed >= self.options.limit + ANSWER_TIMEOUT {
                    return Ok(());
                }
            } else {
                let due = (elapsed.as_secs_f64() * per_second) as u64;
                for _ in 0..due.saturating_sub(asked).min(BEGIN_AT_ONCE as u64) {
                    self.lookups.ask(&mut self.fleet, now);
                    asked += 1;
                }
                self.begin_newcomers(elapsed);
            }
            self.lookups.give_up(now);
            self.repeat_searches(now);
            self.step(begin)?;
        }
    }

    fn settled(&self) -> usize {
        self.arrived.done as usize + self.gave_up.values().sum::<u64>() as usize
    }

    fn begin_newcomers(&mut self, elapsed: Duration) {
        let StormOptions { newcomers, spread, groups, .. } = self.options;
        let due = if elapsed >= spread {
            newcomers
        } else {
            (newcomers as f64 * elapsed.as_secs_f64() / spread.as_secs_f64()) as usize
        };
        for _ in 0..due.saturating_sub(self.begun).min(BEGIN_AT_ONCE) {
            self.fleet.begin(self.first + self.begun, Goal::Joined(group(self.begun % groups.max(1))));
            self.begun += 1;
        }
    }

    fn step(&mut self, begin: Instant) -> anyhow::Result<()> {
        let mut answered = Vec::new();
        let Self { fleet, lookups, .. } = self;
        fleet.step(TICK, |_, datagram| match lookups.hellos.answered(datagram) {
            Some(number) if number & NEWCOMER != 0 => answered.push((number & !NEWCOMER) as usize),
            Some(number) => lookups.answered(number),
            None => (),
        })?;
        for source in answered {
            if let Some(search) = self.searches.remove(&source) {
                self.arrived.add(search.connected + search.begun.elapsed());
                self.is_in[source - self.first] = true;
                self.last_arrival = begin.elapsed();
            }
        }
        while let Some((source, outcome)) = self.fleet.poll_outcome() {
            match outcome {
                Outcome::Reached(connected) if source >= self.first => {
                    let now = Instant::now();
                    self.searches.insert(source, Search { connected, begun: now, wait: FIRST_WAIT });
                    self.search(now, source);
                }
                Outcome::Failed(why) if source < self.first => {
                    tracing::warn!(source, why, "the connection of one of the others ended");
                    self.closed_others += 1;
                }
                Outcome::Failed(why) if self.fleet.peer(source).is_some() => {
                    // Each newcomer is counted once: one that was in and lost its connection counts as one that gave up.
                    self.searches.remove(&source);
                    if std::mem::take(&mut self.is_in[source - self.first]) {
                        self.arrived.done -= 1;
                    }
                    *self.gave_up.entry(why).or_default() += 1;
                    self.fleet.end(source);
                }
                _ => (),
            }
        }
        Ok(())
    }

    /// Sends the lookup of a newcomer, once more if it was sent before.
    fn search(&mut self, now: Instant, source: usize) {
        let Some(search) = self.searches.get_mut(&source) else { return };
        self.repeats.push(Reverse((now + search.wait, source)));
        search.wait += MORE_WAIT;
        // One of the others, at the same server.
        let servers = self.fleet.servers().len();
        let turn = (source - self.first) / servers % (self.targets.len() / servers);
        let epd = &self.targets[turn * servers + source % servers];
        let server = self.fleet.servers()[source % servers].address;
        self.fleet.sources.send(source, server, self.lookups.hellos.hello(epd, NEWCOMER | source as u64));
    }

    fn repeat_searches(&mut self, now: Instant) {
        while let Some(&Reverse((at, source))) = self.repeats.peek()
            && at <= now
        {
            self.repeats.pop();
            if self.searches.contains_key(&source) {
                self.repeated_lookups += 1;
                self.search(now, source);
            }
        }
    }

    fn report(
        &mut self,
        stopped: &super::report::Stopped,
        process: Option<Process>,
        grown: Option<u64>,
    ) -> anyhow::Result<StormReport> {
        let Tally { done, lost, latencies } = &mut self.lookups.tally;
        // An answer that did not come took at least so long.
        (0..*lost).for_each(|_| latencies.add(ANSWER_TIMEOUT));
        let gave_up = self.gave_up.values().sum();
        let others = Others {
            clients: self.first,
            closed: self.closed_others,
            lookups: *done,
            lost: *lost,
            latency_us: latencies.percentiles(),
        };
        let report = StormReport {
            clients: self.options.newcomers,
            arrived: self.arrived.done,
            gave_up,
            not_arrived: (self.options.newcomers as u64).saturating_sub(self.arrived.done + gave_up),
            reasons: std::mem::take(&mut self.gave_up),
            seconds: self.last_arrival.as_secs_f64(),
            arrival_us: self.arrived.latencies.percentiles(),
            repeated: self.fleet.repeated(),
            repeated_lookups: self.repeated_lookups,
            hints: self.fleet.hints(),
            others,
            load_busy: stopped.load_busy(),
            load_bytes: Process(std::process::id()).resident().ok(),
            server: None,
        };
        report.with_server(stopped, process, grown)
    }
}

fn group(number: usize) -> GroupDigest {
    let mut digest = [0x67; 32];
    digest[..8].copy_from_slice(&(number as u64).to_be_bytes());
    GroupDigest(digest)
}
