//! All figures of one machine in one run: the ceiling that UDP sets, and what lookups, handshakes and idle sessions cost a
//! server of one worker. See README.md beside this file; `tests/benches/run` builds the program and starts this.
//!
//! The server has a core to itself and the load another, as far as other programs leave them alone. So each figure is
//! taken several times: the best is the one least disturbed, and how far the others are from it is told too. What is
//! compared with the ceiling is compared within a round.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use introd_tests::cores::{pin_to, two_cores};
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
    let conf = Configuration::new()?;
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        let ceiling = udp_ceiling::measure(udp_ceiling::Options {
            shape: Shape::TwoOut,
            payload: PAYLOAD,
            duration: Duration::try_from_secs_f64(options.seconds)?,
            ..Default::default()
        })?;
        let server = Server::start(&options.introd, &conf)?;
        let duration = ["--duration".to_owned(), options.seconds.to_string()];
        let lookup = server.bench(&options.introd, "lookups", &duration)?;
        // The peers of this application are looked up through its script: lua/introductions.
        let by_script = [&duration[..], &["--app".to_owned(), "introductions".to_owned()]].concat();
        let by_script = server.bench(&options.introd, "lookups", &by_script)?;
        script_ratios.push(number(&lookup, "server_cpu_us")? / number(&by_script, "server_cpu_us")?);
        scripted.push(by_script);
        handshakes.push(server.bench(&options.introd, "handshakes", &duration)?);
        let group14 = [&duration[..], &["--group".to_owned(), "14".to_owned()]].concat();
        strong.push(server.bench(&options.introd, "handshakes", &group14)?);
        flows.push(server.bench(&options.introd, "flow", &duration)?);
        ratios.push(ceiling.cpu_micros() / number(&lookup, "server_cpu_us")?);
        ceilings.push(ceiling.cpu_micros());
        lookups.push(lookup);
    }
    let server = Server::start(&options.introd, &conf)?;
    let work = ["--count".to_owned(), options.sessions.to_string(), "--idle".to_owned(), options.idle.to_string()];
    let sessions = server.bench(&options.introd, "sessions", &work)?;
    drop(server);

    if two_cores().is_none() {
        println!("only one core: server and load shared it");
    }
    println!("{:<46} {:>9} {:>9}  {:>9}", "figure", "best", "worst", "aim");
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
    // Of few sessions most is what the server itself grows by.
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

fn number(report: &Value, name: &str) -> anyhow::Result<f64> {
    report[name].as_f64().with_context(|| format!("no {name} in {report}"))
}

fn all(reports: &[Value], name: &str) -> anyhow::Result<Vec<f64>> {
    reports.iter().map(|report| number(report, name)).collect()
}

fn percentile(reports: &[Value], name: &str) -> anyhow::Result<Vec<f64>> {
    reports.iter().map(|report| number(&report["latency_us"], name)).collect()
}

/// A configuration with the applications that introd ships, and nothing else said; gone when dropped.
struct Configuration(PathBuf);

impl Configuration {
    fn new() -> anyhow::Result<Self> {
        let conf = std::env::temp_dir().join(format!("introd-figures-{}", std::process::id()));
        let vhost = conf.join("_defaultRoot_/_defaultVHost_");
        std::fs::create_dir_all(&vhost)?;
        let applications = concat!(env!("CARGO_MANIFEST_DIR"), "/../lua");
        let text = format!("<VirtualHost><AppsDir>{applications}</AppsDir></VirtualHost>");
        std::fs::write(vhost.join("Vhost.xml"), text)?;
        // All lookups are for few peers here: each is to have its hello forwarded, as among many peers.
        let unlimited =
            "<ResourceLimits><Protocol><RTMFP><MaxForwardRate>-1</MaxForwardRate></RTMFP></Protocol></ResourceLimits>";
        std::fs::write(conf.join("Server.xml"), format!("<Root><Server>{unlimited}</Server></Root>"))?;
        Ok(Self(conf))
    }
}

impl Drop for Configuration {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server of one worker, on the first core.
struct Server {
    process: Child,
    /// Open, for a server whose output nobody takes would stop at its next line.
    _output: BufReader<ChildStdout>,
    port: String,
}

impl Server {
    fn start(introd: &PathBuf, conf: &Configuration) -> anyhow::Result<Self> {
        let mut command = Command::new(introd);
        command.args(["run", "--listen", "0.0.0.0:0", "--workers", "1", "--conf"]).arg(&conf.0);
        command.env("RUST_LOG", "warn");
        let mut process = spawn_on(two_cores().map(|(first, _)| first), command.stdout(Stdio::piped()))?;
        let mut output = BufReader::new(process.stdout.take().context("no output to read")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let port = line.trim().rsplit_once(':').map(|(_, port)| port.to_owned());
        let port = port.with_context(|| format!("the server did not say where it listens, but {line:?}"))?;
        Ok(Self { process, _output: output, port })
    }

    /// Loads the server from the second core.
    fn bench(&self, introd: &PathBuf, work: &str, arguments: &[String]) -> anyhow::Result<Value> {
        let mut command = Command::new(introd);
        command.args(["bench", work, "--json", "--server", &format!("127.0.0.1:{}", self.port)]);
        command.args(["--pid", &self.process.id().to_string()]).args(arguments).stdout(Stdio::piped());
        let output = spawn_on(two_cores().map(|(_, second)| second), &mut command)?.wait_with_output()?;
        if !output.status.success() {
            bail!("introd bench {work} failed");
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing that it would have to put in order.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts a program on a core, which it inherits from a thread that is there.
fn spawn_on(core: Option<usize>, command: &mut Command) -> anyhow::Result<Child> {
    let spawn = || -> anyhow::Result<Child> {
        if let Some(core) = core {
            pin_to(core)?;
        }
        command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))
    };
    std::thread::scope(|scope| scope.spawn(spawn).join()).map_err(|_| anyhow::anyhow!("a thread panicked"))?
}

fn options() -> anyhow::Result<Options> {
    // Beside the directory of the benches.
    let built = std::env::current_exe()?.ancestors().nth(2).map(|target| target.join("introd"));
    let mut options = Options {
        introd: built.unwrap_or_default(),
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
