//! Redis servers.

use std::net::TcpListener;
use std::process::Command;

use rustix::process::Signal;

use crate::folder::Folder;
use crate::program::Process;

/// What a Redis server writes when it serves.
const SERVES: &str = "Ready to accept connections";

/// A Redis server. It is killed when this is dropped.
pub struct Redis {
    process: Option<Process>,
    /// The port of 127.0.0.1 that it listens at.
    pub port: u16,
    folder: Folder,
    arguments: Vec<String>,
}

/// A TCP port of 127.0.0.1 that nothing listens at.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Redis {
    /// A server with the settings that Redis has by default.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// A server with more arguments.
    pub fn with(arguments: &[&str]) -> Self {
        let (port, folder) = (free_port(), Folder::new());
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let process = serve(&mut local(port, &folder, &arguments));
        Self { process: Some(process), port, folder, arguments }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it and starts another, which knows nothing, at the same port.
    pub fn restart_empty(&mut self) {
        self.kill();
        self.process = Some(serve(&mut local(self.port, &self.folder, &self.arguments)));
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Stops it without closing its connections.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Continues it.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("it runs").signal(signal);
    }

    /// Runs a command by a connection of its own; the answer as text, one line for each part.
    pub fn command(&self, words: &[&str]) -> String {
        command(self.port, words)
    }

    /// The processor time that it has taken, in seconds.
    pub fn cpu(&self) -> f64 {
        let info = self.command(&["INFO", "cpu"]);
        let part = |name: &str| -> f64 {
            info.lines().find_map(|line| line.strip_prefix(name)).and_then(|rest| rest.parse().ok()).unwrap()
        };
        part("used_cpu_sys:") + part("used_cpu_user:")
    }

    /// How often a command was called.
    pub fn calls(&self, command: &str) -> u64 {
        let stats = self.command(&["INFO", "commandstats"]);
        let line =
            stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")).map(str::to_owned));
        line.and_then(|line| line.split(',').next().unwrap().parse().ok()).unwrap_or(0)
    }
}

/// As [`Redis::command`], for a Redis of another kind.
pub fn command(port: u16, words: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-p", &port.to_string()]).args(words).output();
    let output = output.expect("these tests need redis-cli: install redis-server, or redis-tools");
    String::from_utf8_lossy(&output.stdout).replace('\r', "")
}

/// Runs a Redis server by a command (`redis-server` and its arguments), and waits until it serves.
pub fn serve(command: &mut Command) -> Process {
    // Wherever the tests run, it stores nothing.
    let process = Process::start(command.args(["--save", "", "--daemonize", "no"]));
    process.output().wait_for(SERVES, 1);
    process
}

fn local(port: u16, folder: &Folder, arguments: &[String]) -> Command {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"]).arg(folder.path()).args(arguments);
    command
}
