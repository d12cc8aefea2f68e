//! One server of the stage, through all its lives.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use introd_tests::program::introd;
use rustix::process::{Pid, Signal, kill_process};

use super::files::Files;
use super::log::{Told, follow};
use crate::plan::server_name;

/// How long a server may take to start.
const STARTED: Duration = Duration::from_secs(120);
/// What it says when it serves.
const SERVES: &str = "stop it with";
/// What it says when it has been told to read its configuration again, and has. What it has left out stands behind that.
const RELOADED: &str = "introd has read its configuration anew";

/// A server, which may run or not.
pub(crate) struct Server {
    pub(crate) number: usize,
    /// Where it listens for clients, in all its lives.
    pub(crate) address: SocketAddr,
    /// Where its administration is.
    pub(crate) admin: SocketAddr,
    pub(crate) files: Files,
    /// How often it was started.
    pub(crate) life: u32,
    logs: PathBuf,
    told: Sender<Told>,
    process: Option<Process>,
}

struct Process {
    child: Child,
    /// What it writes to its output.
    lines: Receiver<String>,
    log: JoinHandle<()>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Status(i32),
    Signal(i32),
}

impl Server {
    /// A server that does not run yet, with its files and a folder for its logs.
    pub(crate) fn new(
        number: usize,
        files: Files,
        logs: PathBuf,
        (address, admin): (SocketAddr, SocketAddr),
        told: Sender<Told>,
    ) -> Self {
        Self { number, address, admin, files, life: 0, logs, told, process: None }
    }

    /// Starts it, and waits until it serves.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        self.life += 1;
        let (listen, admin, conf) =
            (self.address.to_string(), self.admin.to_string(), self.files.configuration().display().to_string());
        let workers = ["run", "--log-format", "json", "--log-limit", "0", "--workers", "2"];
        let mut command = introd(&workers);
        command.args(["--listen", &listen, "--admin", &admin, "--conf", &conf]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C is for the soak, which then stops its servers in order.
        command.process_group(0);
        let mut child = command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
        let (output, log) = (child.stdout.take().context("no output")?, child.stderr.take().context("no log")?);
        let file = self.logs.join(format!("server-{}-{}.log", server_name(self.number), self.life));
        let log = follow(log, &file, (self.number, self.life), self.told.clone())?;
        self.process = Some(Process { child, lines: lines(output), log });
        self.says(STARTED, |line| line.starts_with(SERVES)).context("the server does not start")
    }

    /// Whether it runs.
    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> Option<Pid> {
        self.process.as_ref().map(|process| Pid::from_child(&process.child))
    }

    /// The memory that it has, in KiB; `None` if it does not run.
    pub(crate) fn resident(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()?.as_raw_nonzero())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = self.id().with_context(|| format!("server {} does not run", server_name(self.number)))?;
        Ok(kill_process(id, signal)?)
    }

    /// Tells it to read its configuration again, and waits until it has.
    pub(crate) fn reload(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::HUP)?;
        self.says(STARTED, |line| line.starts_with(RELOADED))
    }

    /// Waits until it has written such a line to its output.
    fn says(&mut self, time: Duration, is_it: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        let process = self.process.as_ref().context("it does not run")?;
        let deadline = Instant::now() + time;
        loop {
            match process.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if is_it(&line) => return Ok(()),
                Ok(_) => (),
                Err(RecvTimeoutError::Timeout) => bail!("it does not say what is expected within {time:?}"),
                Err(RecvTimeoutError::Disconnected) => bail!("it has ended: see its log"),
            }
        }
    }

    /// How it ended, if it has.
    pub(crate) fn has_ended(&mut self) -> anyhow::Result<Option<Exit>> {
        let Some(process) = &mut self.process else { return Ok(None) };
        let Some(status) = process.child.try_wait()? else { return Ok(None) };
        // All of its log is told before its end is.
        if let Some(process) = self.process.take() {
            let _ = process.log.join();
        }
        Ok(Some(status.code().map_or_else(|| Exit::Signal(status.signal().unwrap_or_default()), Exit::Status)))
    }

    /// Waits for its end.
    pub(crate) fn ended_within(&mut self, time: Duration) -> anyhow::Result<Exit> {
        let deadline = Instant::now() + time;
        loop {
            if let Some(exit) = self.has_ended()? {
                return Ok(exit);
            }
            if Instant::now() > deadline {
                bail!("server {} does not end within {time:?}", server_name(self.number));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

/// The lines of an output, read in a thread of its own.
fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (to, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { return };
            if to.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
