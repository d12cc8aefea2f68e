//! How many instructions the server takes for a lookup, one through a script, and a handshake: the whole program under callgrind, loaded by `introd bench`,
//! one operation at a time. The counts do not depend on how busy the computer is. See README.md beside this file.
//!
//! They are compared with `instructions.json`: more than a quarter above is an error. With `INTROD_BLESS=1` the file is written anew.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use introd_tests::cargo::{profile_folder, workspace};
use introd_tests::load::configuration;
use introd_tests::program::Server;
use rustix::process::Signal;
use serde_json::{Map, Value, json};

/// How far above the stated count a count may be.
const TOLERANCE: f64 = 0.25;
/// How long a load may take under callgrind, in seconds, on a computer that is busy with other things.
const LONGEST: &str = "600";

/// A kind of load.
struct Work {
    name: &'static str,
    arguments: &'static [&'static str],
    /// What counts them in the server, which does some before the load counts.
    counter: Option<&'static str>,
    /// What the second run does more than the first.
    more: u64,
}

const WORK: [Work; 3] = [
    Work {
        name: "lookup",
        arguments: &["lookups", "--targets", "2", "--askers", "1", "--window", "1"],
        counter: Some("rtmfp_lookups"),
        more: 2000,
    },
    Work {
        name: "lookup through a script",
        arguments: &["lookups", "--targets", "2", "--askers", "1", "--window", "1", "--app", "introductions"],
        counter: Some("rtmfp_lookups"),
        more: 2000,
    },
    Work { name: "handshake", arguments: &["handshakes", "--window", "1"], counter: None, more: 100 },
];

fn main() -> anyhow::Result<()> {
    let introd = profile_folder().join("introd");
    ensure!(introd.exists(), "no {}: build it first, with `cargo build -p introd`", introd.display());
    let profile = if profile_folder().ends_with("release") { "release" } else { "dev" };
    let page = workspace().join("tests/benches/instructions.json");
    let mut stated: Map<String, Value> = serde_json::from_str(&std::fs::read_to_string(&page)?)?;
    let mut counts = Map::new();
    let mut exceeded = Vec::new();
    println!("{:<28} {:>12} {:>12}", format!("instructions, {profile} build"), "counted", "stated");
    for work in &WORK {
        let count = work.count(&introd)?;
        let bound = stated.get(profile).and_then(|of_profile| of_profile[work.name].as_f64()).unwrap_or_default();
        println!("{:<28} {count:>12.0} {bound:>12.0}", work.name);
        if count > bound * (1.0 + TOLERANCE) {
            exceeded.push(format!("{}: {count:.0} instead of {bound:.0}", work.name));
        }
        counts.insert(work.name.to_owned(), json!(count.round() as u64));
    }
    if std::env::var_os("INTROD_BLESS").is_some() {
        stated.insert(profile.to_owned(), Value::Object(counts));
        std::fs::write(&page, serde_json::to_string_pretty(&stated)? + "\n")?;
        return Ok(());
    }
    ensure!(
        exceeded.is_empty(),
        "more instructions than a quarter above what tests/benches/instructions.json states: {}. If that is meant, write the file anew \
         with INTROD_BLESS=1. To see where they are: `callgrind_annotate {}/instructions-*.callgrind`",
        exceeded.join(", "),
        profile_folder().display()
    );
    Ok(())
}

impl Work {
    /// The instructions for one: what a longer run takes more than a shorter one, so that start and end of the server do not count.
    fn count(&self, introd: &Path) -> anyhow::Result<f64> {
        let (less, few) = self.run(introd, 10)?;
        let (more, many) = self.run(introd, 10 + self.more)?;
        ensure!(many > few && more > less, "{}: {many} after {few}, {more} instructions after {less}", self.name);
        Ok((more - less) as f64 / (many - few) as f64)
    }

    /// The instructions of a server under this load, and how many were done.
    fn run(&self, introd: &Path, count: u64) -> anyhow::Result<(u64, u64)> {
        let files = configuration();
        let record: PathBuf = profile_folder().join(format!("instructions-{}.callgrind", self.name.replace(' ', "-")));
        let mut command = Command::new("valgrind");
        command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", record.display())).arg(introd);
        command.args(["run", "--listen", "127.0.0.1:0", "--workers", "1", "--admin", "none", "--conf"]);
        let server = Server::by(command.arg(files.path()).env_remove("RUST_LOG"));
        let address = server.addresses.first().context("the server did not say where it listens")?;
        let mut load = Command::new(introd);
        load.arg("bench").args(self.arguments).args(["--count", &count.to_string(), "--duration", LONGEST]);
        // With the process id, the load ends when the server has nothing left to do: no key pair to be made ahead of time.
        load.args(["--json", "--server", &address.to_string(), "--pid", &server.id().to_string()]);
        let load = load.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        if !load.status.success() {
            bail!("introd bench failed; the server's log:\n{}", server.log());
        }
        let report: Value = serde_json::from_slice(&load.stdout)?;
        ensure!(report["lost"] == 0, "some were lost: {report}");
        server.signal(Signal::TERM);
        let ended = server.ended();
        let collected = ended.stderr.lines().find_map(|line| line.split_once("Collected : ").map(|(_, count)| count));
        let instructions = collected.with_context(|| format!("callgrind has not counted: {}", ended.stderr))?;
        let done = self.counter.map_or(report["done"].as_u64(), |counter| Some(ended.counter(counter)));
        Ok((instructions.trim().replace(',', "").parse()?, done.context("the load did not say how many were done")?))
    }
}
