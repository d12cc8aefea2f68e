//! What native plugins cost a lookup: servers with and without, loaded in turns. See README.md beside this file;
//! `tests/benches/run` builds the program and starts this.
//!
//! The servers run side by side, each of one worker on the first core, and the load on the second; only one of them is loaded at a
//! time, for short turns, so that other programs disturb all of them alike.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use introd_tests::cargo::profile_folder;
use introd_tests::cores::two_cores;
use introd_tests::libraries::{c_examples, library};
use introd_tests::load::{LoadedServer, number};
use introd_tests::program::Files;

/// The rate of lookups with a plugin, in percent of the rate without: what it should be at least.
const AIM: f64 = 95.0;

fn main() -> anyhow::Result<()> {
    let options = options()?;
    let nobody = "00".repeat(32);
    // Rules of each kind, none of which holds for the lookups.
    let rules = format!(
        "<rule action=\"deny\" target=\"{nobody}\"/><rule action=\"deny\" address=\"203.0.113.0/24\"/>\
         <rule action=\"deny\" application=\"closed\"/><rule action=\"ignore\" asker=\"{nobody}\"/>"
    );
    let deny = format!("<deny>{nobody}</deny>");
    let mut servers = [
        Server::start(&options.introd, "none", None)?,
        Server::start(&options.introd, "lookup-filter", Some((&library("lookup-filter"), &rules)))?,
        Server::start(&options.introd, "c-example", Some((&c_examples()[0], &deny)))?,
    ];
    for turn in 0..options.turns {
        eprintln!("turn {} of {}", turn + 1, options.turns);
        for server in &mut servers {
            server.take_turn(&options)?;
        }
    }
    if two_cores().is_none() {
        println!("only one core: server and load shared it");
    }
    println!("{:<22} {:>9} {:>9} {:>12}", "peer lookup, us CPU", "best", "median", "% of without");
    let [without, ..] = &servers;
    for server in &servers {
        // Turn by turn: in each, other programs disturbed both servers alike.
        let share = 100.0 * median(without.micros.iter().zip(&server.micros).map(|(without, with)| without / with));
        let verdict = match server.name {
            "none" => String::new(),
            _ if share >= AIM => format!("aim {AIM} met"),
            _ => format!("aim {AIM} missed"),
        };
        let (best, middle) = (server.best(), median(server.micros.iter().copied()));
        println!("{:<22} {best:>9.2} {middle:>9.2} {share:>12.1}  {verdict}", server.name);
    }
    let lost: u64 = servers.iter().map(|server| server.lost).sum();
    println!("lookups without an answer: {lost}");
    Ok(())
}

/// A server, and what its lookups cost in each turn.
struct Server {
    name: &'static str,
    server: LoadedServer,
    _files: Files,
    micros: Vec<f64>,
    lost: u64,
}

impl Server {
    fn start(introd: &Path, name: &'static str, plugin: Option<(&Path, &str)>) -> anyhow::Result<Self> {
        let files = Files::new();
        let plugin = plugin.map_or_else(String::new, |(library, config)| {
            format!("<Plugin path=\"{}\"><Config>{config}</Config></Plugin>", library.display())
        });
        files.application(&format!("<Plugins>{plugin}</Plugins>"));
        let server = LoadedServer::start(introd, "127.0.0.1:0", files.path())?;
        Ok(Self { name, server, _files: files, micros: Vec::new(), lost: 0 })
    }

    fn take_turn(&mut self, options: &Options) -> anyhow::Result<()> {
        let report = self.server.bench("lookups", &["--duration", &options.seconds.to_string()])?;
        self.micros.push(number(&report, "server_cpu_us")?);
        self.lost += report["lost"].as_u64().unwrap_or_default();
        Ok(())
    }

    fn best(&self) -> f64 {
        self.micros.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

struct Options {
    introd: PathBuf,
    turns: usize,
    seconds: f64,
}

fn options() -> anyhow::Result<Options> {
    let mut options = Options { introd: profile_folder().join("introd"), turns: 15, seconds: 1.0 };
    let (mut is_asked, mut is_smoke) = (false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--bench" => is_asked = true,
            "--smoke" => is_smoke = true,
            "--introd" => options.introd = value()?.into(),
            "--turns" => options.turns = value()?.parse::<usize>()?.max(1),
            "--seconds" => options.seconds = value()?.parse()?,
            _ => bail!("unknown argument {argument}: try --smoke, --turns N, --seconds S"),
        }
    }
    // `cargo test --benches` only wants to know whether it works.
    if is_smoke || !is_asked {
        options = Options { turns: 1, seconds: 0.3, ..options };
    }
    Ok(options)
}
