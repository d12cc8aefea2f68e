//! The program itself, on a host.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::hosts::Host;

/// Only a program that hangs needs it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program: what `INTROD_BIN` names, else the one of this build.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("INTROD_BIN") {
            return path.into();
        }
        // This test is target/PROFILE/deps/nat-HASH.
        let test = std::env::current_exe().expect("this test has a path");
        let profile = test.parent().and_then(Path::parent).expect("this test is in a target directory");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--package", "introd", "--bin", "introd"]);
        cargo.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
        cargo.arg("--target-dir").arg(profile.parent().expect("a profile is in a target directory"));
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        let built = cargo.status().is_ok_and(|status| status.success());
        let path = profile.join("introd");
        assert!(built && path.exists(), "no {}: run `cargo build -p introd`, or set INTROD_BIN", path.display());
        path
    })
}

/// A program that runs on a host. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Running {
    pub(crate) fn start(host: &Host, program: &OsStr, arguments: &[&str]) -> Self {
        let mut child = host
            .command(program)
            .args(arguments)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ip starts");
        let (output, errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, lines) = channel();
        // Both are read all the time: a full pipe would stop the program.
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = BufReader::new(errors).read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Self { child, lines, errors: Some(errors) }
    }

    /// The next line of its output.
    pub(crate) fn line(&mut self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("the program says nothing"),
            Err(RecvTimeoutError::Disconnected) => {
                let _ = self.child.wait();
                panic!("the program ended: {}", self.errors.take().unwrap().join().unwrap())
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it takes a signal");
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> Ended {
        let mut output = String::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => output.extend([line.as_str(), "\n"]),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the program does not end"),
            }
        }
        let code = self.child.wait().unwrap().code();
        Ended { code, output, errors: self.errors.take().unwrap().join().unwrap() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// A counter as a server prints it when it stops.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let line = self.errors.lines().find(|line| line.contains(&format!("name=\"{name}\"")));
        let count = line.and_then(|line| line.rsplit_once("count=")).and_then(|(_, count)| count.trim().parse().ok());
        count.unwrap_or_else(|| panic!("no counter {name} in {}", self.errors))
    }

    /// The object in the first line of the output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.output.lines().next().unwrap_or_default())
            .unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A server on a host, at the default port.
pub(crate) struct Server(Running);

impl Server {
    pub(crate) fn start(host: &Host, more: &[&str]) -> Self {
        let mut arguments = vec!["run", "--workers", "2"];
        arguments.extend(more);
        let mut running = Running::start(host, binary().as_os_str(), &arguments);
        while !running.line().starts_with("stop it with") {}
        Self(running)
    }

    pub(crate) fn process(&self) -> Pid {
        Pid::from_child(&self.0.child)
    }

    /// Stops it as a service manager does.
    pub(crate) fn stop(self) -> Ended {
        self.0.signal(Signal::TERM);
        self.0.ended()
    }
}

/// A Redis on a host.
pub(crate) struct Redis(#[allow(dead_code, reason = "it runs for as long as this is there")] Running);

impl Redis {
    pub(crate) fn start(host: &Host) -> Self {
        let arguments = ["--protected-mode", "no", "--save", "", "--daemonize", "no"];
        let mut running = Running::start(host, OsStr::new("redis-server"), &arguments);
        while !running.line().contains("Ready to accept connections") {}
        Self(running)
    }
}

/// A peer that stays, for others to find.
pub(crate) struct Peer {
    running: Running,
    pub(crate) id: String,
    pub(crate) report: Value,
}

impl Peer {
    pub(crate) fn stay(host: &Host, uri: &str) -> Self {
        let mut running = Running::start(host, binary().as_os_str(), &["probe", "--stay", "--json", uri]);
        let report: Value = serde_json::from_str(&running.line()).unwrap();
        let id = report["peer_id"].as_str().expect("it is connected").to_owned();
        Self { running, id, report }
    }

    pub(crate) fn leave(self) -> Ended {
        self.running.signal(Signal::TERM);
        self.running.ended()
    }
}

/// Runs `introd probe` on a host to its end.
pub(crate) fn probe(host: &Host, arguments: &[&str]) -> Ended {
    Running::start(host, binary().as_os_str(), &[&["probe"], arguments].concat()).ended()
}
