//! All measurements of one computer in one run: the ceiling that UDP sets, and what lookups, handshakes and idle sessions cost a
//! server of one worker. See README.md beside this file; `tests/benches/run` builds the program and starts this.
//!
//! The server has a core to itself and the load another, as far as other programs leave them alone. So each measurement is
//! made several times: the best is the one least disturbed, and the worst shows how much they disturbed. What is
//! compared with the ceiling is compared within a round.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use introd_tests::cargo::profile_folder;
use introd_tests::cores::two_cores;
use introd_tests::load::{LoadedServer, number};
use introd_tests::program::Files;
use introd_tests::udp_ceiling::{self, Shape};
use serde_json::Value;

/// What a lookup's datagrams carry: the hello 68 bytes, the redirect 52, the forwarded hello 84.
const PAYLOAD: usize = 68;

struct Options {
    introd: PathBuf,
    rounds: usize,
    seconds: f64,
    sessions: u32,
    /// How long sessions are idle before memory is measured.
    idle: f64,
    is_smoke: bool,
}

fn main() -> anyhow::Result<()> {
    let options = options()?;
    let (mut lookups, mut ceilings, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut scripted, mut script_ratios) = (Vec::new(), Vec::new());
    let (mut handshakes, mut strong, mut flows) = (Vec::new(), Vec::new(), Vec::new());
    let files = configuration();
    let start = || LoadedServer::start(&options.introd, "0.0.0.0:0", files.path());
    let seconds = options.seconds.to_string();
    let duration = ["--duration", seconds.as_str()];
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        let ceiling = udp_ceiling::measure(udp_ceiling::Options {
            shape: Shape::TwoOut,
            payload: PAYLOAD,
            duration: Duration::try_from_secs_f64(options.seconds)?,
            ..Default::default()
        })?;
        let server = start()?;
        let lookup = server.bench("lookups", &duration)?;
        // The peers of this application are looked up through its script: lua/introductions.
        let by_script = [&duration[..], &["--app", "introductions"]].concat();
        let by_script = server.bench("lookups", &by_script)?;
        script_ratios.push(number(&lookup, "server_cpu_us")? / number(&by_script, "server_cpu_us")?);
        scripted.push(by_script);
        handshakes.push(server.bench("handshakes", &duration)?);
        let group14 = [&duration[..], &["--group", "14"]].concat();
        strong.push(server.bench("handshakes", &group14)?);
        flows.push(server.bench("flow", &duration)?);
        ratios.push(ceiling.cpu_micros() / number(&lookup, "server_cpu_us")?);
        ceilings.push(ceiling.cpu_micros());
        lookups.push(lookup);
    }
    let (count, idle) = (options.sessions.to_string(), options.idle.to_string());
    let sessions = start()?.bench("sessions", &["--count", &count, "--idle", &idle])?;

    if two_cores().is_none() {
        println!("only one core: server and load shared it");
    }
    println!("{:<46} {:>9} {:>9}  {:>9}", "measurement", "best", "worst", "aim");
    row("UDP ceiling, 1 in and 2 out, us CPU", &ceilings, Best::Least, None);
    let lookup_cpu = all(&lookups, "server_cpu_us")?;
    row("peer lookup (redirect + forward), us CPU", &lookup_cpu, Best::Least, Some(7.0));
    let percent: Vec<f64> = ratios.iter().map(|ratio| 100.0 * ratio).collect();
    row("peer lookup, % of the ceiling", &percent, Best::Most, Some(85.0));
    row("peer lookups answered a second", &all(&lookups, "per_second")?, Best::Most, None);
    row("peer lookup, latency p50, us", &percentile(&lookups, "p50")?, Best::Least, None);
    row("peer lookup, latency p99, us", &percentile(&lookups, "p99")?, Best::Least, None);
    row("peer lookup through a script, us CPU", &all(&scripted, "server_cpu_us")?, Best::Least, None);
    let percent: Vec<f64> = script_ratios.iter().map(|ratio| 100.0 * ratio).collect();
    row("peer lookup through a script, % of built in", &percent, Best::Most, Some(75.0));
    row("peer lookup through a script, latency p50, us", &percentile(&scripted, "p50")?, Best::Least, None);
    row("peer lookup through a script, latency p99, us", &percentile(&scripted, "p99")?, Best::Least, None);
    row("handshake, group 2, us CPU", &all(&handshakes, "server_cpu_us")?, Best::Least, Some(120.0));
    row("handshake, group 2, latency p50, us", &percentile(&handshakes, "p50")?, Best::Least, None);
    row("handshake, group 2, latency p99, us", &percentile(&handshakes, "p99")?, Best::Least, None);
    row("handshake, group 14, us CPU", &all(&strong, "server_cpu_us")?, Best::Least, None);
    let rates = all(&flows, "server_megabytes_per_cpu_second")?;
    row("client-to-server flow, MB a CPU second", &rates, Best::Most, Some(300.0));
    let title = format!("memory per idle session of {}, bytes", options.sessions);
    // With few sessions, most of the growth is the server's own.
    let aim = (!options.is_smoke).then_some(2000.0);
    row(&title, &[number(&sessions, "server_bytes_per_session")?], Best::Least, aim);
    row("session with connect, us CPU", &[number(&sessions, "server_cpu_us")?], Best::Least, None);
    let lost: f64 = [&lookups, &scripted, &handshakes, &strong]
        .into_iter()
        .flatten()
        .filter_map(|report| report["lost"].as_f64())
        .sum();
    println!("lookups and handshakes without an answer: {lost}");
    Ok(())
}

enum Best {
    Least,
    Most,
}

/// Prints the best of the rounds, the worst, the aim, and how far the best is from it.
fn row(title: &str, rounds: &[f64], best: Best, aim: Option<f64>) {
    let least = rounds.iter().copied().fold(f64::INFINITY, f64::min);
    let most = rounds.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (best, worst, is_met) = match best {
        Best::Least => (least, most, aim.is_none_or(|aim| least <= aim)),
        Best::Most => (most, least, aim.is_none_or(|aim| most >= aim)),
    };
    let aim = aim.map_or_else(String::new, |aim| {
        let verdict = if is_met { "met".to_owned() } else { format!("{:+.0} %", 100.0 * (best / aim - 1.0)) };
        format!("{aim:>9} {verdict}")
    });
    println!("{title:<46} {best:>9.1} {worst:>9.1}  {aim}");
}

fn all(reports: &[Value], name: &str) -> anyhow::Result<Vec<f64>> {
    reports.iter().map(|report| number(report, name)).collect()
}

fn percentile(reports: &[Value], name: &str) -> anyhow::Result<Vec<f64>> {
    reports.iter().map(|report| number(&report["latency_us"], name)).collect()
}

/// The applications that introd ships, without the limit on forwarded hellos.
fn configuration() -> Files {
    let files = Files::new();
    files.shipped_applications();
    // All lookups are for few peers here: each is to have its hello forwarded, as among many peers.
    files.server(
        "<ResourceLimits><Protocol><RTMFP><MaxForwardRate>-1</MaxForwardRate></RTMFP></Protocol></ResourceLimits>",
    );
    files
}

fn options() -> anyhow::Result<Options> {
    let mut options = Options {
        introd: profile_folder().join("introd"),
        rounds: 3,
        seconds: 4.0,
        sessions: 100_000,
        idle: 3.0,
        is_smoke: false,
    };
    let mut arguments = std::env::args().skip(1);
    let mut is_asked = false;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--bench" => is_asked = true,
            "--smoke" => options.is_smoke = true,
            "--introd" => options.introd = value()?.into(),
            "--rounds" => options.rounds = value()?.parse::<usize>()?.max(1),
            "--seconds" => options.seconds = value()?.parse()?,
            "--sessions" => options.sessions = value()?.parse()?,
            "--idle" => options.idle = value()?.parse()?,
            _ => bail!("unknown argument {argument}: try --smoke, --rounds N, --seconds S, --sessions N, --idle S"),
        }
    }
    // `cargo test --benches` only wants to know whether it works.
    if options.is_smoke || !is_asked {
        options = Options { rounds: 1, seconds: 0.3, sessions: 500, idle: 0.2, is_smoke: true, ..options };
    }
    Ok(options)
}
