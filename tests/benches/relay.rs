//! What the relay costs, and what lookups cost beside a relay in full use.
//!
//! ```text
//! cargo bench -p introd-tests --bench relay                  3 s each, three rounds
//! cargo bench -p introd-tests --bench relay -- --seconds 10 --rounds 5
//! cargo bench -p introd-tests --bench relay -- --smoke       0.2 s each: does it work?
//! ```
//!
//! A server of one worker runs in this process, with pairs whose ends are sockets of this process. The ceiling is UDP's own, one datagram in and one
//! out, measured in the same round (`introd_tests::udp_ceiling`); CPU time is that of the relay's thread, from `/proc/self/task/*/schedstat`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use introd::relay::Relay;
use introd::server::{Server, ServerSettings};
use introd_config::{Config, Listen};
use introd_relay::{Attempt, Client, Party, RelayPorts, Terms};
use introd_tests::cargo::profile_folder;
use introd_tests::cores::{pin_to, two_cores};
use introd_tests::load::number;
use introd_tests::udp_ceiling::{self, Shape};
use introd_udp::{BufferSizes, LocalAddress, RecvBatch, SendBatch, UdpSocket};
use rtmfp::PeerId;
use rtmfp::crypto::{Epd, Sealer};
use rtmfp::wire::chunk::{IHello, RHello};
use rtmfp::wire::{Mode, PacketHeader};

const PORTS: u16 = 32;
/// Datagrams of a pair under way at most.
const WINDOW: usize = 64;
const BATCH: usize = 64;
/// After this long without a datagram, those under way count as lost.
const LOST_AFTER: Duration = Duration::from_millis(200);
/// How long a run goes on if nothing has come through yet: a busy computer gets the time for a first datagram.
const FIRST: Duration = Duration::from_secs(30);

struct Options {
    seconds: Duration,
    rounds: usize,
}

fn main() -> anyhow::Result<()> {
    let Options { seconds, rounds } = options()?;
    println!("{:<48} {:>9} {:>9} {:>8}", "measurement", "us CPU", "cpu/s", "% of UDP");
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for payload in [100, 1000] {
            let options =
                udp_ceiling::Options { shape: Shape::OneOut, payload, duration: seconds, ..Default::default() };
            let ceiling = udp_ceiling::measure(options)?.cpu_micros();
            row(&format!("UDP ceiling, 1 in and 1 out, {payload} bytes"), ceiling, ceiling);
            for pairs in [1, 64] {
                let server = start()?;
                let mut load = Load::new(relay(&server)?, pairs, payload)?;
                // A thread of its own is on the second core; this one is on both.
                let mut run =
                    || std::thread::scope(|scope| scope.spawn(|| load.run(seconds, &AtomicBool::new(false))).join());
                let cost = relayed_cost(&server, || run().map_err(|_| anyhow::anyhow!("the load panicked"))?)?;
                row(&format!("relayed, {pairs} pairs, {payload} bytes"), cost, ceiling);
            }
        }
        lookups(seconds)?;
    }
    if two_cores().is_none() {
        println!("only one core: all of it shared it");
    }
    Ok(())
}

fn row(name: &str, micros: f64, ceiling: f64) {
    println!("{name:<48} {micros:>9.2} {:>9.0} {:>8.0}", 1e6 / micros, 100.0 * ceiling / micros);
}

/// A server of one worker with a relay, whose threads are on the first core.
fn start() -> anyhow::Result<Server> {
    let mut config = Config::built_in();
    let port = || vec![Listen { local: ([127, 0, 0, 1], 0).into(), public: None, is_optional: false }];
    let settings = &mut config.default_adaptor.relay;
    (settings.is_named, settings.ports) = (true, (0..PORTS).map(|_| port()).collect());
    (settings.bytes_per_second, settings.max_pairs_per_address) = (u64::MAX, usize::MAX);
    let settings = ServerSettings {
        config,
        listen: vec![([127, 0, 0, 1], 0).into()],
        workers: Some(1),
        ..ServerSettings::default()
    };
    // Threads inherit the core of the thread that starts them.
    let started = std::thread::scope(|scope| {
        let start = || {
            if let Some((first, _)) = two_cores() {
                pin_to(first)?;
            }
            Server::start(&settings)
        };
        scope.spawn(start).join()
    });
    started.map_err(|_| anyhow::anyhow!("the thread that starts the server panicked"))?
}

fn relay(server: &Server) -> anyhow::Result<&Relay> {
    server.relay().context("the server has no relay")
}

/// The CPU time of the thread of that name.
fn cpu_of(name: &str) -> anyhow::Result<Duration> {
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if std::fs::read_to_string(task.join("comm"))?.trim() == name {
            let times = std::fs::read_to_string(task.join("schedstat"))?;
            let nanoseconds = times.split(' ').next().context("no time")?.parse()?;
            return Ok(Duration::from_nanos(nanoseconds));
        }
    }
    bail!("no thread {name}")
}

/// Microseconds of the relay's CPU time for each datagram that is passed on while `work` runs.
fn relayed_cost(server: &Server, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let figures = || anyhow::Ok((cpu_of("relay-0")?, relay(server)?.figures().counts.datagrams));
    let before = figures()?;
    work()?;
    let after = figures()?;
    let datagrams = after.1 - before.1;
    anyhow::ensure!(datagrams > 0, "nothing was relayed");
    Ok((after.0 - before.0).as_secs_f64() * 1e6 / datagrams as f64)
}

/// What lookups cost the worker alone, and beside a relay that passes on as much as it can.
fn lookups(seconds: Duration) -> anyhow::Result<()> {
    let server = start()?;
    let alone = lookup_cost(&server, seconds)?;
    let mut load = Load::new(relay(&server)?, 64, 1000)?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let loading = std::thread::spawn(move || load.run(Duration::MAX, &stopped));
    let beside = lookup_cost(&server, seconds);
    stop.store(true, Ordering::Release);
    loading.join().map_err(|_| anyhow::anyhow!("the load panicked"))??;
    let beside = beside?;
    println!("{:<48} {:>9.2} {:>9.0}", "lookup, alone; and answered a second", alone.0, alone.1);
    println!("{:<48} {:>9.2} {:>9.0}", "lookup, beside a full relay", beside.0, beside.1);
    Ok(())
}

/// Microseconds of the worker's CPU time for a lookup, and how many were answered in a second.
fn lookup_cost(server: &Server, seconds: Duration) -> anyhow::Result<(f64, f64)> {
    let (before, counted) = (cpu_of("worker-0")?, counted(server));
    let address = server.addresses().first().context("the server listens nowhere")?.to_string();
    let mut command = Command::new(introd());
    command.args(["bench", "lookups", "--json", "--server", &address]);
    let output = command.args(["--duration", &seconds.as_secs_f64().to_string()]).output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = serde_json::from_slice(&output.stdout)?;
    let lookups = self::counted(server) - counted;
    // The connections that the bench makes before count as well: they are few.
    let micros = (cpu_of("worker-0")? - before).as_secs_f64() * 1e6 / lookups as f64;
    Ok((micros, number(&report, "per_second")?))
}

fn counted(server: &Server) -> u64 {
    server.counters().get(introd::introducer::Counter::Lookups)
}

fn introd() -> PathBuf {
    profile_folder().join("introd")
}

/// Both ends of pairs.
struct Load {
    ends: Vec<Ends>,
    payload: Vec<u8>,
    incoming: RecvBatch,
    outgoing: SendBatch,
}

struct Ends {
    asker: UdpSocket,
    target: UdpSocket,
    /// The ports of the relay that they send to.
    ports: [SocketAddr; 2],
    under_way: usize,
    heard: Instant,
}

fn startup(write: impl FnOnce(&mut Vec<u8>) -> bool) -> Vec<u8> {
    let (mut sealer, mut out) = (Sealer::startup(), Vec::new());
    sealer.begin(&mut out);
    PacketHeader::new(Mode::Startup).put(&mut out);
    write(&mut out);
    sealer.finish(0, 0, &mut out);
    out
}

impl Load {
    /// Pairs that are open.
    fn new(relay: &Relay, pairs: u8, payload: usize) -> anyhow::Result<Self> {
        let socket = || UdpSocket::bind(([127, 0, 0, 1], 0).into(), BufferSizes::default());
        // A datagram of a session: its id is not 0.
        let mut bytes = vec![0x5a; payload];
        bytes[..4].copy_from_slice(&7_u32.to_be_bytes());
        let (incoming, outgoing) = (RecvBatch::new(BATCH), SendBatch::new(BATCH, BATCH * 1500));
        let mut load = Self { ends: Vec::new(), payload: bytes, incoming, outgoing };
        for number in 0..pairs {
            let (asker, target) = (socket()?, socket()?);
            let party = |id: u8, socket: &UdpSocket| Party {
                client: Client::Peer(PeerId([id; 32])),
                address: socket.local_address(),
                is_proven: true,
            };
            let tag = [number; 16];
            let attempt =
                Attempt { asker: party(2 * number, &asker), target: party(2 * number + 1, &target), tag: &tag };
            let terms = Terms { bytes_per_second: u64::MAX, lifetime: Duration::from_secs(3600) };
            let RelayPorts { asker: one, target: other } = relay
                .allocate(Instant::now(), &attempt, terms)
                .map_err(|refusal| anyhow::anyhow!("no pair: {}", refusal.label()))?;
            let face = |port| relay.faces(port, [127, 0, 0, 1].into(), None, None).first().copied().context("no port");
            load.ends.push(Ends {
                asker,
                target,
                ports: [face(one)?, face(other)?],
                under_way: 0,
                heard: Instant::now(),
            });
            load.open(relay, tag)?;
        }
        Ok(load)
    }

    /// Says hello from both ends of the last pair, and sends a packet of a session each way, until the pair is open.
    fn open(&mut self, relay: &Relay, tag: [u8; 16]) -> anyhow::Result<()> {
        let Self { ends, payload, outgoing, .. } = self;
        let Some(Ends { asker, target, ports, .. }) = ends.last() else { return Ok(()) };
        let ihello = startup(|out| IHello { epd: &Epd::fingerprint(PeerId([1; 32])), tag: &tag }.put(out));
        let rhello = startup(|out| RHello { tag_echo: &tag, cookie: &[1; 64], certificate: &[2; 77] }.put(out));
        let (open, deadline) = (relay.figures().open, Instant::now() + FIRST);
        while relay.figures().open == open {
            anyhow::ensure!(Instant::now() < deadline, "the relay does not open a pair");
            for (from, to, datagram) in [
                (asker, ports[0], &ihello),
                (target, ports[1], &rhello),
                (asker, ports[0], &ihello),
                (target, ports[1], &*payload),
                (asker, ports[0], &*payload),
            ] {
                outgoing.push(to, LocalAddress::ANY, datagram)?;
                from.send_or_drop(outgoing);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Has each asker send to its target, as much as comes through, on the second core. The targets send a datagram for each batch, as receivers
    /// acknowledge what they get.
    fn run(&mut self, time: Duration, stop: &AtomicBool) -> anyhow::Result<()> {
        if let Some((_, second)) = two_cores() {
            pin_to(second)?;
        }
        let (begin, mut received) = (Instant::now(), 0);
        loop {
            let now = Instant::now();
            let elapsed = now.duration_since(begin);
            if stop.load(Ordering::Acquire) || (elapsed > time && (received > 0 || elapsed > FIRST)) {
                return Ok(());
            }
            for Ends { asker, target, ports, under_way, heard } in &mut self.ends {
                if now.duration_since(*heard) > LOST_AFTER {
                    (*under_way, *heard) = (0, now);
                }
                for _ in *under_way..WINDOW {
                    self.outgoing.push(ports[0], LocalAddress::ANY, &self.payload)?;
                }
                *under_way += asker.send_or_drop(&mut self.outgoing);
                let came = target.receive(&mut self.incoming)?.unwrap_or(0);
                if came > 0 {
                    received += came;
                    (*under_way, *heard) = (under_way.saturating_sub(came), now);
                    self.outgoing.push(ports[1], LocalAddress::ANY, &self.payload)?;
                    target.send_or_drop(&mut self.outgoing);
                }
                asker.receive(&mut self.incoming)?;
            }
        }
    }
}

fn options() -> anyhow::Result<Options> {
    const SMOKE: Options = Options { seconds: Duration::from_millis(200), rounds: 1 };
    let mut options = Options { seconds: Duration::from_secs(3), rounds: 3 };
    // `cargo bench` says so; `cargo test --benches` only wants to know whether it works.
    if !std::env::args().any(|argument| argument == "--bench") {
        options = SMOKE;
    }
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--bench" => {}
            "--smoke" => options = SMOKE,
            "--seconds" => options.seconds = Duration::try_from_secs_f64(value()?.parse()?)?,
            "--rounds" => options.rounds = value()?.parse()?,
            other => bail!("unknown argument {other}"),
        }
    }
    Ok(options)
}
