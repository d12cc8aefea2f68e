//! `introd bench mix`: lookups, handshakes and messages at the same time, in given shares.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::bounds::Bounds;
use super::client::{FleetOptions, Goal, Outcome};
use super::fleet::Fleet;
use super::lookup_load::LookupLoad;
use super::lookups::connected;
use super::process::Process;
use super::report::{Meter, Progress, Report, Tally};

/// How many sources handshakes come from, if there are so many.
const HANDSHAKE_SOURCES: usize = 1 << 16;
/// How long pending operations are waited for when the load ends.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Lookup,
    Handshake,
    /// A connected client sends a small message, which the server acknowledges.
    Message,
}

/// The kinds, with their names on the command line and in reports.
const OPERATIONS: [(Operation, &str); 3] =
    [(Operation::Lookup, "lookups"), (Operation::Handshake, "handshakes"), (Operation::Message, "messages")];

/// How many of each kind of operation are begun for how many of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares([u64; OPERATIONS.len()]);

impl Shares {
    /// The kind of the next operation, when so many of each kind have been begun: the one that is furthest behind its share.
    fn next(&self, begun: &[u64; OPERATIONS.len()]) -> usize {
        let (sum, all): (u64, u64) = (self.0.iter().sum(), begun.iter().sum::<u64>() + 1);
        let lag =
            |kind: &usize| i128::from(self.0[*kind]) * i128::from(all) - i128::from(begun[*kind]) * i128::from(sum);
        let kinds = (0..OPERATIONS.len()).filter(|kind| self.0[*kind] > 0);
        // Of several, the first.
        kinds.rev().max_by_key(lag).unwrap_or(0)
    }
}

/// Reads `lookups=8,handshakes=1,messages=1`.
pub(super) fn shares(text: &str) -> Result<Shares, String> {
    let mut shares = [0; OPERATIONS.len()];
    for part in text.split(',') {
        let known = || OPERATIONS.map(|(_, name)| name).join(", ");
        let (name, share) = part.split_once('=').ok_or_else(|| format!("{part:?} is not of the form NAME=SHARE"))?;
        let place = OPERATIONS.iter().position(|(_, known)| *known == name.trim());
        let place = place.ok_or_else(|| format!("there are no {name:?}: the operations are {}", known()))?;
        let share: u32 = share.trim().parse().map_err(|_| format!("{share:?} is not a whole number"))?;
        shares[place] = u64::from(share);
    }
    if shares.iter().sum::<u64>() == 0 { Err("no operation has a share".to_owned()) } else { Ok(Shares(shares)) }
}

pub(super) fn run(
    options: FleetOptions,
    bounds: &Bounds,
    shares: Shares,
    connections: usize,
    askers: usize,
    process: Option<Process>,
) -> anyhow::Result<Report> {
    let servers = options.servers.len();
    let (fleet, lookups) = connected(options, connections, askers, HANDSHAKE_SOURCES)?;
    let first = connections + askers.max(servers);
    let free = (first..fleet.sources.count()).collect();
    let mut mix = Mix {
        fleet,
        lookups,
        first,
        free,
        idle: (0..connections).collect(),
        busy: HashSet::new(),
        handshakes: Tally::default(),
        messages: Tally::default(),
    };
    let mut progress = Progress::new("operations", bounds.count, bounds.duration);
    let meter = Meter::start(process)?;
    let (begin, mut begun) = (Instant::now(), [0; OPERATIONS.len()]);
    loop {
        let now = Instant::now();
        progress.show(now, mix.done());
        let has_all = |begun: &[u64]| bounds.count.is_some_and(|count| begun.iter().sum::<u64>() >= count);
        let is_over = now - begin >= bounds.duration || has_all(&begun);
        if is_over && (mix.pending() == 0 || now - begin >= bounds.duration + END_TIMEOUT) {
            break;
        }
        // One batch at a time, so that answers are read soon after they arrive.
        for _ in 0..64 {
            let kind = shares.next(&begun);
            if is_over || has_all(&begun) || mix.pending() >= bounds.window || !mix.begin(OPERATIONS[kind].0, now)? {
                break;
            }
            begun[kind] += 1;
        }
        mix.step()?;
    }
    let stopped = meter.stop();
    drop(progress);
    mix.report(stopped, connections)
}

/// The pending operations, and the counts of the others.
struct Mix {
    fleet: Fleet,
    lookups: LookupLoad,
    /// The first source of handshakes.
    first: usize,
    /// The sources of handshakes that are not in use.
    free: VecDeque<usize>,
    /// The connected clients that no message is pending of.
    idle: VecDeque<usize>,
    /// The sources with a pending handshake or message.
    busy: HashSet<usize>,
    handshakes: Tally,
    messages: Tally,
}

impl Mix {
    fn done(&self) -> u64 {
        self.lookups.tally.done + self.handshakes.done + self.messages.done
    }

    fn pending(&self) -> usize {
        self.lookups.waiting() + self.busy.len()
    }

    /// Begins an operation; false if all that could begin one are in use.
    fn begin(&mut self, operation: Operation, now: Instant) -> anyhow::Result<bool> {
        let source = match operation {
            Operation::Lookup => {
                self.lookups.ask(&mut self.fleet, now);
                return Ok(true);
            }
            Operation::Handshake => self.free.pop_front(),
            Operation::Message => self.idle.pop_front(),
        };
        let Some(source) = source else { return Ok(false) };
        self.busy.insert(source);
        match operation {
            Operation::Handshake => self.fleet.begin(source, Goal::Opened),
            _ => self.fleet.send_message(source)?,
        }
        Ok(true)
    }

    fn step(&mut self) -> anyhow::Result<()> {
        let Self { fleet, lookups, .. } = self;
        lookups.give_up(Instant::now());
        fleet.step(Duration::from_millis(10), |_, datagram| lookups.take(datagram))?;
        while let Some((source, outcome)) = self.fleet.poll_outcome() {
            let is_handshake = source >= self.first;
            match outcome {
                Outcome::Keyed(latency) => self.handshakes.latencies.add(latency),
                Outcome::Reached(_) if is_handshake => {
                    self.handshakes.done += 1;
                    self.end_handshake(source);
                }
                Outcome::Delivered(latency) if self.busy.remove(&source) => {
                    self.messages.add(latency);
                    self.idle.push_back(source);
                }
                Outcome::Failed(why) if is_handshake && self.busy.contains(&source) => {
                    tracing::debug!(source, why, "handshake failed");
                    self.handshakes.lost += 1;
                    self.end_handshake(source);
                }
                Outcome::Failed(why) if !is_handshake => anyhow::bail!("the connection of a client ended: {why}"),
                _ => (),
            }
        }
        Ok(())
    }

    fn end_handshake(&mut self, source: usize) {
        self.busy.remove(&source);
        self.fleet.end(source);
        self.free.push_back(source);
    }

    fn report(mut self, stopped: super::report::Stopped, connections: usize) -> anyhow::Result<Report> {
        let handshakes = self.busy.iter().filter(|source| **source >= self.first).count() as u64;
        self.handshakes.lost += handshakes;
        self.messages.lost += self.busy.len() as u64 - handshakes;
        let tallies = [&self.lookups.tally, &self.handshakes, &self.messages];
        let mut all = Tally::default();
        for tally in tallies {
            (all.done, all.lost) = (all.done + tally.done, all.lost + tally.lost);
            all.latencies.add_all(&tally.latencies);
        }
        let mut report = stopped.report("operations", &all)?.with_connections(connections);
        for ((_, name), tally) in OPERATIONS.iter().zip(tallies) {
            if tally.done + tally.lost > 0 {
                report = report.with_kind(name, tally);
            }
        }
        self.fleet.end_all();
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_begun_in_their_shares_and_evenly() {
        let shares = shares("lookups=6, handshakes=1,messages=3").unwrap();
        let mut begun = [0; 3];
        for round in 1..=100u64 {
            for _ in 0..10 {
                begun[shares.next(&begun)] += 1;
                let all: u64 = begun.iter().sum();
                for (kind, share) in shares.0.iter().enumerate() {
                    assert!((begun[kind] * 10).abs_diff(share * all) <= 10, "{begun:?}");
                }
            }
            assert_eq!(begun, [6 * round, round, 3 * round]);
        }
    }

    #[test]
    fn an_operation_without_a_share_is_never_begun() {
        let shares = shares("messages=1").unwrap();
        assert!((0..10).all(|begun| shares.next(&[0, 0, begun]) == 2));
    }

    #[test]
    fn what_is_no_mix_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "NAME=SHARE"),
            ("lookups", "NAME=SHARE"),
            ("calls=1", "lookups, handshakes, messages"),
            ("lookups=many", "whole number"),
            ("lookups=-1", "whole number"),
            ("lookups=0", "no operation"),
        ] {
            let error = shares(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
