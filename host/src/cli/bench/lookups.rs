//! `introd bench lookups`: hellos that ask for connected peers, from many addresses; redirects and forwarded hellos come back.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtmfp::crypto::{Epd, Opener, Sealer};
use rtmfp::wire::chunk::IHello;
use rtmfp::wire::{Chunk, Mode, PacketHeader, packet};

use super::bounds::Bounds;
use super::client::{FleetOptions, Goal};
use super::fleet::Fleet;
use super::process::Process;
use super::report::{Latencies, Meter, Progress, Report};
use super::sessions::connect_all;
use super::sources::Sources;

/// A lookup that is not answered within this time is lost.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// The load before the clock starts: caches fill, processors clock up.
const WARM_UP: Duration = Duration::from_millis(300);
/// How many targets connect at the same time.
const CONNECTING: usize = 16;

pub(super) fn run(
    options: FleetOptions,
    bounds: &Bounds,
    targets: usize,
    askers: usize,
    process: Option<Process>,
) -> anyhow::Result<Report> {
    let server = options.server;
    let sources = Sources::new(server, targets + askers)?;
    anyhow::ensure!(sources.count() > targets, "the limit on open files is too low for {targets} targets");
    let askers = sources.count() - targets;
    let mut fleet = Fleet::new(FleetOptions { goal: Goal::Connected, ..options }, sources)?;
    let (lost, _) = connect_all(
        &mut fleet,
        targets,
        &Bounds { window: CONNECTING, duration: Duration::from_secs(120), count: None },
    )?;
    anyhow::ensure!(lost == 0, "{lost} targets could not connect");

    let epds = (0..targets).filter_map(|target| fleet.peer(target)).map(Epd::fingerprint).collect();
    let mut load = Load::new(server, epds, targets, askers);
    load.run(&mut fleet, &Bounds { duration: WARM_UP, count: None, ..*bounds }, None)?;
    load.reset();
    let forwarded = fleet.forwarded();
    let mut progress = Progress::new("lookups", bounds.count, bounds.duration);
    let meter = Meter::start(process)?;
    load.run(&mut fleet, bounds, Some(&mut progress))?;
    let report = meter.stop().report("lookups", load.answered, load.lost, &load.latencies)?;
    drop(progress);
    // Forwards may be behind the redirects.
    fleet.step(Duration::from_millis(50), |_, _| ())?;
    let forwarded = fleet.forwarded() - forwarded;
    fleet.end_all();
    Ok(report.with_forwarded(forwarded))
}

/// The pending lookups, and the counts of the others.
struct Load {
    server: SocketAddr,
    epds: Vec<[u8; 34]>,
    /// The first source of the askers, and how many there are.
    askers: (usize, usize),
    sealer: Sealer,
    opener: Opener,
    /// In the tags, so that late answers of another run are not counted.
    run: u64,
    /// When the lookups from number `first` on were sent; `None` once answered.
    under_way: VecDeque<Option<Instant>>,
    first: u64,
    /// How many of them are not answered.
    waiting: usize,
    answered: u64,
    lost: u64,
    latencies: Latencies,
    datagram: Vec<u8>,
}

impl Load {
    fn new(server: SocketAddr, epds: Vec<[u8; 34]>, first_asker: usize, askers: usize) -> Self {
        Self {
            server,
            epds,
            askers: (first_asker, askers),
            sealer: Sealer::startup(),
            opener: Opener::startup(),
            run: getrandom::u64().unwrap_or_default(),
            under_way: VecDeque::new(),
            first: 0,
            waiting: 0,
            answered: 0,
            lost: 0,
            latencies: Latencies::new(),
            datagram: Vec::with_capacity(256),
        }
    }

    /// Forgets what was counted.
    fn reset(&mut self) {
        (self.answered, self.lost, self.latencies) = (0, 0, Latencies::new());
    }

    /// Loads the server until the bounds are reached and each lookup is answered or lost.
    fn run(&mut self, fleet: &mut Fleet, bounds: &Bounds, mut progress: Option<&mut Progress>) -> anyhow::Result<()> {
        let begin = Instant::now();
        let mut sent = 0u64;
        loop {
            let now = Instant::now();
            if let Some(progress) = &mut progress {
                progress.show(now, self.answered);
            }
            self.give_up(now);
            let is_over = now - begin >= bounds.duration || bounds.count.is_some_and(|count| sent >= count);
            if is_over && self.waiting == 0 {
                return Ok(());
            }
            if !is_over {
                // One batch at a time, so that answers are read soon after they arrive.
                for _ in self.waiting..bounds.window.min(self.waiting + 64) {
                    self.ask(fleet, now);
                    sent += 1;
                }
            }
            fleet.step(Duration::from_millis(10), |_, datagram| self.take(datagram))?;
        }
    }

    fn ask(&mut self, fleet: &mut Fleet, now: Instant) {
        let number = self.first + self.under_way.len() as u64;
        let Some(epd) = self.epds.get((number % self.epds.len().max(1) as u64) as usize) else { return };
        let mut tag = [0; 16];
        tag[..8].copy_from_slice(&self.run.to_be_bytes());
        tag[8..].copy_from_slice(&number.to_be_bytes());
        let out = &mut self.datagram;
        out.clear();
        self.sealer.begin(out);
        PacketHeader::new(Mode::Startup).put(out);
        IHello { epd, tag: &tag }.put(out);
        self.sealer.finish(0, 0, out);
        let (first, count) = self.askers;
        fleet.sources.send(first + (number % count as u64) as usize, self.server, out);
        self.under_way.push_back(Some(now));
        self.waiting += 1;
    }

    /// Handles a datagram that came to an asker.
    fn take(&mut self, datagram: &mut [u8]) {
        let Ok(mut plain) = self.opener.open(datagram) else { return };
        if PacketHeader::take(&mut plain).is_err() {
            return;
        }
        for raw in packet::chunks(plain) {
            let Ok(Chunk::Redirect(redirect)) = Chunk::parse(raw) else { continue };
            let Some((run, number)) = redirect.tag_echo.split_first_chunk::<8>() else { continue };
            let Ok(number) = <[u8; 8]>::try_from(number).map(u64::from_be_bytes) else { continue };
            let place = number.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
            if u64::from_be_bytes(*run) == self.run
                && let Some(sent) = place.and_then(|place| self.under_way.get_mut(place)).and_then(Option::take)
            {
                self.latencies.add(sent.elapsed());
                self.answered += 1;
                self.waiting -= 1;
            }
        }
    }

    /// Forgets the lookups that are answered or lost.
    fn give_up(&mut self, now: Instant) {
        while let Some(sent) = self.under_way.front() {
            match sent {
                Some(sent) if now.saturating_duration_since(*sent) < ANSWER_TIMEOUT => break,
                Some(_) => {
                    self.lost += 1;
                    self.waiting -= 1;
                }
                None => (),
            }
            self.under_way.pop_front();
            self.first += 1;
        }
    }
}
