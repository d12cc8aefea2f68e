//! What native plugins cost a lookup: servers with and without, loaded in turns. See README.md beside this file;
//! `tests/benches/run` builds the program and starts this.
//!
//! The servers run side by side, each of one worker on the first core, and the load on the second; only one of them is loaded at a
//! time, for short turns, so that what else the machine does falls on all of them alike.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};
use introd_tests::cores::{pin_to, two_cores};
use introd_tests::libraries::{c_examples, library};
use serde_json::Value;

/// Of a lookup without plugins, so much must be left of the rate with one, in percent.
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
        // Turn by turn: what else the machine did then, it did to both.
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
    process: Child,
    /// Open, for a server whose output nobody takes would stop at its next line.
    _output: BufReader<ChildStdout>,
    address: String,
    root: PathBuf,
    micros: Vec<f64>,
    lost: u64,
}

impl Server {
    fn start(introd: &Path, name: &'static str, plugin: Option<(&Path, &str)>) -> anyhow::Result<Self> {
        let root = std::env::temp_dir().join(format!("introd-plugins-{}-{name}", std::process::id()));
        let vhost = root.join("conf/_defaultRoot_/_defaultVHost_");
        std::fs::create_dir_all(&vhost)?;
        let plugin = plugin.map_or_else(String::new, |(library, config)| {
            format!("<Plugin path=\"{}\"><Config>{config}</Config></Plugin>", library.display())
        });
        let text = format!("<Application><Plugins>{plugin}</Plugins></Application>");
        std::fs::write(vhost.join("Application.xml"), text)?;
        let mut command = Command::new(introd);
        command.args(["run", "--listen", "127.0.0.1:0", "--workers", "1", "--conf"]).arg(root.join("conf"));
        command.env("RUST_LOG", "warn").stdout(Stdio::piped());
        let mut process = spawn_on(two_cores().map(|(first, _)| first), &mut command)?;
        let mut output = BufReader::new(process.stdout.take().context("no output to read")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let address = line.trim().rsplit_once(' ').map(|(_, address)| address.to_owned());
        let address = address.with_context(|| format!("the server did not say where it listens, but {line:?}"))?;
        Ok(Self { name, process, _output: output, address, root, micros: Vec::new(), lost: 0 })
    }

    fn take_turn(&mut self, options: &Options) -> anyhow::Result<()> {
        let mut command = Command::new(&options.introd);
        command.args(["bench", "lookups", "--json", "--server", &self.address]);
        command.args(["--pid", &self.process.id().to_string(), "--duration", &options.seconds.to_string()]);
        command.stdout(Stdio::piped());
        let output = spawn_on(two_cores().map(|(_, second)| second), &mut command)?.wait_with_output()?;
        if !output.status.success() {
            bail!("introd bench lookups failed");
        }
        let report: Value = serde_json::from_slice(&output.stdout)?;
        let micros = report["server_cpu_us"].as_f64().with_context(|| format!("no server_cpu_us in {report}"))?;
        self.micros.push(micros);
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

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing that it would have to put in order.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.root);
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

struct Options {
    introd: PathBuf,
    turns: usize,
    seconds: f64,
}

fn options() -> anyhow::Result<Options> {
    // Beside the directory of the benches.
    let built = std::env::current_exe()?.ancestors().nth(2).map(|target| target.join("introd"));
    let mut options = Options { introd: built.unwrap_or_default(), turns: 15, seconds: 1.0 };
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
