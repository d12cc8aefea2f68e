//! One server of the stage, through all its lives.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::files::Files;
use super::http::get;
use super::log::{Told, follow};
use super::process::Process;
use super::programs::Programs;
use crate::bounds::STOPPED;
use crate::plan::server_name;

/// How long a server may take to start.
const STARTED: Duration = Duration::from_secs(120);
/// What it says when it serves.
const SERVES: &str = "stop it with";
/// What it says when it has been told to read its configuration again, and has. What it has left out stands behind that.
const RELOADED: &str = "introd has read its configuration anew";
/// What it says when another process goes on with its sessions.
const TAKEN_OVER: &str = "another process has taken over";
/// How long the administration of a new process may take to answer: the old process has its address for some moments more.
const ADMINISTERED: Duration = Duration::from_secs(10);

pub(crate) use super::process::Exit;

/// A server, which may run or not.
pub(crate) struct Server {
    pub(crate) number: usize,
    /// Where it listens for clients, in all its lives.
    pub(crate) address: SocketAddr,
    /// Where its administration is.
    pub(crate) admin: SocketAddr,
    pub(crate) files: Files,
    /// How many processes it has had: the number of the present one, or of the last.
    pub(crate) life: u32,
    /// How many new processes have failed to take its place.
    pub(super) failed_takeovers: usize,
    programs: Arc<Programs>,
    logs: PathBuf,
    told: Sender<Told>,
    process: Option<Process>,
}

impl Server {
    /// A server that does not run yet, with its files and a folder for its logs.
    pub(crate) fn new(
        number: usize,
        files: Files,
        logs: PathBuf,
        (address, admin): (SocketAddr, SocketAddr),
        programs: Arc<Programs>,
        told: Sender<Told>,
    ) -> Self {
        Self { number, address, admin, files, life: 0, failed_takeovers: number, programs, logs, told, process: None }
    }

    /// Starts it, and waits until it serves.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        self.begin()?;
        self.says(STARTED, |line| line.starts_with(SERVES)).context("the server does not start")
    }

    /// Starts another process in the place of the one that runs, and waits for the end of that one. All of its log has been told then.
    pub(crate) fn take_over(&mut self) -> anyhow::Result<()> {
        let mut old = self.process.take().context("it does not run")?;
        self.begin()?;
        self.says(STARTED, |line| line.starts_with(SERVES)).context("the new process does not take over")?;
        let exit = old.ended_within(STOPPED).context("the process that was replaced does not end")?;
        ensure!(exit == Exit::Status(0), "the process that was replaced ended with {exit:?}");
        ensure!(old.has_said(|line| line.contains(TAKEN_OVER)), "the process that was replaced does not say so");
        let begun = Instant::now();
        while let Err(error) = get(self.admin, "/metrics") {
            ensure!(begun.elapsed() < ADMINISTERED, "the administration of the new process does not answer: {error:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        self.life += 1;
        let mut command = self.command(&self.files.configuration());
        let mut process = Process::start(&mut command)?;
        let file = self.logs.join(format!("server-{}-{}.log", server_name(self.number), self.life));
        let log = process.child.stderr.take().context("no log")?;
        process.log = Some(follow(log, &file, (self.number, self.life), self.told.clone())?);
        self.process = Some(process);
        Ok(())
    }

    /// A command that runs a process of this server with this folder of its configuration, in the place of another if one runs.
    pub(crate) fn command(&self, configuration: &Path) -> Command {
        let (listen, admin) = (self.address.to_string(), self.admin.to_string());
        let mut command = self.programs.introd();
        command.args(["run", "--log-format", "json", "--log-limit", "0", "--workers", "2"]);
        command.args(["--listen", &listen, "--admin", &admin, "--conf"]).arg(configuration);
        command.arg(format!("--takeover={}", self.files.takeover_socket().display()));
        command
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
        self.process.as_ref().context("it does not run")?.says(time, is_it)
    }

    /// How it ended, if it has.
    pub(crate) fn has_ended(&mut self) -> anyhow::Result<Option<Exit>> {
        let Some(process) = &mut self.process else { return Ok(None) };
        let exit = process.has_ended()?;
        if exit.is_some() {
            self.process = None;
        }
        Ok(exit)
    }

    /// Waits for its end.
    pub(crate) fn ended_within(&mut self, time: Duration) -> anyhow::Result<Exit> {
        let Some(process) = &mut self.process else { bail!("server {} does not run", server_name(self.number)) };
        let exit = process.ended_within(time).with_context(|| format!("server {}", server_name(self.number)))?;
        self.process = None;
        Ok(exit)
    }
}
