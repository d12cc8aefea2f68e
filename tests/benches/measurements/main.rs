//! All measurements of one computer in one run: the ceiling that UDP sets, and what lookups, handshakes, flows, sessions and a storm of clients that
//! come back cost a server of one worker. See README.md beside this file; `tests/benches/run` builds the program and starts this.
//!
//! The server has a core to itself and the load another, as far as other programs leave them alone. So each measurement is
//! made several times: the best is the one least disturbed, and the worst shows how much they disturbed. Several programs, for instance an old
//! and a new one, are measured in turns in each round, by the same load. What is compared with the ceiling is compared within a round.

mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use introd_tests::cargo::profile_folder;
use introd_tests::cores::two_cores;
use introd_tests::load::{LoadedServer, configuration, number};
use introd_tests::udp_ceiling::{self, Shape};
use serde_json::Value;

use table::{Best, Column, Row};

/// What a lookup's datagrams carry: the hello 68 bytes, the redirect 52, the forwarded hello 84.
const PAYLOAD: usize = 68;

struct Options {
    /// The programs to measure.
    introd: Vec<PathBuf>,
    rounds: usize,
    seconds: f64,
    sessions: u32,
    /// How long sessions are idle before memory is measured.
    idle: f64,
    /// How many peers are connected in the last of the lookups.
    connections: u32,
    /// How many clients come back at once.
    storm: u32,
    is_smoke: bool,
}

/// The rows of the table, in its order.
fn rows(options: &Options) -> Vec<Row> {
    // With few sessions, most of the growth is the server's own.
    let memory = (!options.is_smoke).then_some(1900.0);
    let (sessions, storm, connections) = (options.sessions, options.storm, options.connections);
    vec![
        Row::new("ceiling", "UDP ceiling, 1 in and 2 out, us CPU", Best::Least, None),
        Row::new("lookup", "peer lookup (redirect + forward), us CPU", Best::Least, Some(7.0)),
        Row::new("lookup %", "peer lookup, % of the ceiling", Best::Most, Some(85.0)),
        Row::new("lookup rate", "peer lookups answered a second", Best::Most, None),
        Row::new("lookup p50", "peer lookup, latency p50, us", Best::Least, None),
        Row::new("lookup p99", "peer lookup, latency p99, us", Best::Least, None),
        Row::new("scripted", "peer lookup through a script, us CPU", Best::Least, None),
        Row::new("scripted %", "peer lookup through a script, % of built in", Best::Most, Some(70.0)),
        Row::new("scripted p50", "peer lookup through a script, latency p50, us", Best::Least, None),
        Row::new("scripted p99", "peer lookup through a script, latency p99, us", Best::Least, None),
        Row::new("handshake", "handshake, group 2, us CPU", Best::Least, Some(120.0)),
        Row::new("handshake p50", "handshake, group 2, latency p50, us", Best::Least, None),
        Row::new("handshake p99", "handshake, group 2, latency p99, us", Best::Least, None),
        Row::new("strong", "handshake, group 14, us CPU", Best::Least, None),
        Row::new("flow", "client-to-server flow, MB a CPU second", Best::Most, Some(300.0)),
        Row::new("memory", &format!("memory per idle session of {sessions}, bytes"), Best::Least, memory),
        Row::new("session", "session with connect, us CPU", Best::Least, None),
        Row::new("few", "peer lookup, 1,000 connected, us CPU", Best::Least, None),
        Row::new("many", &format!("peer lookup, {connections} connected, us CPU"), Best::Least, None),
        Row::new("many %", "the same, times that of 1,000 connected", Best::Least, Some(1.5)),
        Row::new("storm", &format!("storm of {storm} clients, seconds until all are in"), Best::Least, None),
        Row::new("storm cpu", "storm, us CPU a client", Best::Least, None),
        Row::new("storm ideal", "storm, times what the core needs for the work", Best::Least, Some(1.3)),
        Row::new("storm p50", "storm, lookups of the others, p50, us", Best::Least, None),
        Row::new("storm p99", "storm, lookups of the others, p99, us", Best::Least, Some(20_000.0)),
        Row::new("storm out", "storm, clients that gave up", Best::Least, Some(0.0)),
    ]
}

fn main() -> anyhow::Result<()> {
    let options = options()?;
    let files = configuration();
    let mut columns: Vec<Column> = options.introd.iter().map(|path| Column::new(path)).collect();
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        let ceiling = udp_ceiling::measure(udp_ceiling::Options {
            shape: Shape::TwoOut,
            payload: PAYLOAD,
            duration: Duration::try_from_secs_f64(options.seconds)?,
            ..Default::default()
        })?;
        for (introd, column) in options.introd.iter().zip(&mut columns) {
            column.add("ceiling", ceiling.cpu_micros());
            measure_round(&options, introd, files.path(), column)?;
        }
    }
    for (introd, column) in options.introd.iter().zip(&mut columns) {
        eprintln!("{}: many clients", introd.display());
        measure_once(&options, introd, files.path(), column)?;
    }
    if two_cores().is_none() {
        println!("only one core: server and load shared it");
    }
    table::print(&rows(&options), &columns);
    for column in &columns {
        println!("{}: lookups and handshakes without an answer: {}", column.name, column.lost);
    }
    Ok(())
}

/// Starts a program as a server; this build's program loads it.
fn start(introd: &Path, conf: &Path) -> anyhow::Result<LoadedServer> {
    Ok(LoadedServer::start(introd, "0.0.0.0:0", conf)?.loaded_by(&own_program()))
}

fn own_program() -> PathBuf {
    profile_folder().join("introd")
}

/// What is measured in each round.
fn measure_round(options: &Options, introd: &Path, conf: &Path, column: &mut Column) -> anyhow::Result<()> {
    let seconds = options.seconds.to_string();
    let duration = ["--duration", seconds.as_str()];
    let with = |more: &[&'static str]| [&duration[..], more].concat();
    let server = start(introd, conf)?;
    let lookup = server.bench("lookups", &duration)?;
    // The peers of this application are looked up through its script: lua/introductions.
    let scripted = server.bench("lookups", &with(&["--app", "introductions"]))?;
    let handshake = server.bench("handshakes", &duration)?;
    let strong = server.bench("handshakes", &with(&["--group", "14"]))?;
    let flow = server.bench("flow", &duration)?;
    let cpu = |report| number(report, "server_cpu_us");
    column.add("lookup", cpu(&lookup)?);
    column.add("lookup %", 100.0 * column.last("ceiling") / cpu(&lookup)?);
    column.add("lookup rate", number(&lookup, "per_second")?);
    column.add("scripted", cpu(&scripted)?);
    column.add("scripted %", 100.0 * cpu(&lookup)? / cpu(&scripted)?);
    column.add("handshake", cpu(&handshake)?);
    column.add("strong", cpu(&strong)?);
    column.add("flow", number(&flow, "server_megabytes_per_cpu_second")?);
    for (p50, p99, report) in [
        ("lookup p50", "lookup p99", &lookup),
        ("scripted p50", "scripted p99", &scripted),
        ("handshake p50", "handshake p99", &handshake),
    ] {
        column.add(p50, number(&report["latency_us"], "p50")?);
        column.add(p99, number(&report["latency_us"], "p99")?);
    }
    column.lost += [&lookup, &scripted, &handshake, &strong].into_iter().filter_map(lost).sum::<u64>();
    Ok(())
}

/// What takes many clients, and so long that it is measured once.
fn measure_once(options: &Options, introd: &Path, conf: &Path, column: &mut Column) -> anyhow::Result<()> {
    let (count, idle) = (options.sessions.to_string(), options.idle.to_string());
    let sessions = start(introd, conf)?.bench("sessions", &["--count", &count, "--idle", &idle])?;
    column.add("memory", number(&sessions, "server_bytes_per_session")?);
    column.add("session", number(&sessions, "server_cpu_us")?);

    let seconds = options.seconds.to_string();
    let lookups = |connections: u32| -> anyhow::Result<f64> {
        let connections = connections.to_string();
        let report = start(introd, conf)?
            .bench("lookups", &["--duration", &seconds, "--connections", &connections, "--askers", "1000"])?;
        number(&report, "server_cpu_us")
    };
    let (few, many) = (lookups(1000.min(options.connections))?, lookups(options.connections)?);
    column.add("few", few);
    column.add("many", many);
    column.add("many %", many / few);

    let clients = options.storm.to_string();
    let others = if options.is_smoke { "10" } else { "1000" };
    let storm = start(introd, conf)?.bench("storm", &["--clients", &clients, "--others", others])?;
    column.add("storm", number(&storm, "seconds")?);
    column.add("storm cpu", number(&storm["server"], "cpu_us")?);
    column.add("storm ideal", number(&storm["server"], "times_ideal")?);
    column.add("storm p50", number(&storm["others"]["latency_us"], "p50")?);
    column.add("storm p99", number(&storm["others"]["latency_us"], "p99")?);
    column.add("storm out", number(&storm, "gave_up")? + number(&storm, "not_arrived")?);
    eprintln!("{storm}");
    Ok(())
}

fn lost(report: &Value) -> Option<u64> {
    report["lost"].as_u64()
}

fn options() -> anyhow::Result<Options> {
    let mut options = Options {
        introd: Vec::new(),
        rounds: 3,
        seconds: 4.0,
        sessions: 100_000,
        idle: 3.0,
        connections: 100_000,
        storm: 100_000,
        is_smoke: false,
    };
    let mut arguments = std::env::args().skip(1);
    let mut is_asked = false;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--bench" => is_asked = true,
            "--smoke" => options.is_smoke = true,
            "--introd" => options.introd.push(value()?.into()),
            "--rounds" => options.rounds = value()?.parse::<usize>()?.max(1),
            "--seconds" => options.seconds = value()?.parse()?,
            "--sessions" => options.sessions = value()?.parse()?,
            "--idle" => options.idle = value()?.parse()?,
            "--connections" => options.connections = value()?.parse()?,
            "--storm" => options.storm = value()?.parse()?,
            _ => bail!(
                "unknown argument {argument}: try --smoke, --introd PATH (an old program to measure beside this one), --rounds N, --seconds S, \
                 --sessions N, --idle S, --connections N, --storm N"
            ),
        }
    }
    options.introd.push(own_program());
    // `cargo test --benches` only wants to know whether it works.
    if options.is_smoke || !is_asked {
        let (sessions, connections, storm) = (500, 500, 200);
        options =
            Options { rounds: 1, seconds: 0.3, sessions, idle: 0.2, connections, storm, is_smoke: true, ..options };
    }
    Ok(options)
}
