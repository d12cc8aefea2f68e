//! An introd server that serves.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal};

use super::binary::introd;
use super::process::{Ended, Process};
use super::text::Text;

/// What a server says before each address that it listens at.
const LISTENS: &str = "listens on UDP ";
/// What it says before the address of its administration.
const ADMINISTRATION: &str = "its administration is at http://";
/// What it says when it serves.
const SERVES: &str = "stop it with";
/// What it says when it has been told to read its configuration again.
const RELOADED: &str = "introd has read its configuration anew";
const KEPT: &str = "introd keeps its old configuration";

/// A server that serves.
pub struct Server {
    process: Process,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// Where its administration listens. It has none unless a test wants one.
    pub admin: Vec<SocketAddr>,
}

impl Server {
    /// Starts a server and waits until it serves.
    pub fn start(workers: u8, listen: &[&str]) -> Self {
        Self::start_with(workers, listen, &[])
    }

    fn start_with(workers: u8, listen: &[&str], more: &[&str]) -> Self {
        Self::start_with_admin(workers, listen, "none", more)
    }

    fn start_with_admin(workers: u8, listen: &[&str], admin: &str, more: &[&str]) -> Self {
        // Tests read every line that the server and its scripts log.
        let mut command = introd(&["run", "--log-limit", "0", "--workers", &workers.to_string(), "--admin", admin]);
        for address in listen {
            command.args(["--listen", address]);
        }
        Self::by(command.args(more))
    }

    /// Starts a server by a command, which runs the program with `run` and its arguments, and waits until it serves.
    ///
    /// # Panics
    /// If it does not serve.
    pub fn by(command: &mut Command) -> Self {
        Self::of(Process::start(command))
    }

    /// Waits until a server that was started already serves.
    ///
    /// # Panics
    /// If it does not serve.
    pub fn of(mut process: Process) -> Self {
        let (mut addresses, mut admin) = (Vec::new(), Vec::new());
        while let Some(line) = process.line() {
            if let Some((_, address)) = line.split_once(LISTENS) {
                addresses.push(address.parse().expect("the announced address"));
            } else if let Some(address) = line.strip_prefix(ADMINISTRATION) {
                admin.push(address.trim_end_matches('/').parse().expect("the announced address"));
            } else if line.starts_with(SERVES) {
                return Self { process, addresses, admin };
            }
        }
        panic!("the server does not start: {:?}", process.ended())
    }

    /// A server on a free port of both loopback addresses.
    pub fn on_loopback(workers: u8) -> Self {
        Self::start(workers, &["127.0.0.1:0", "[::1]:0"])
    }

    /// A server on a free port of 127.0.0.1, with a configuration.
    pub fn configured(conf: &Path, workers: u8) -> Self {
        Self::start_with(workers, &["127.0.0.1:0"], &["--conf", &conf.to_string_lossy()])
    }

    /// The same, with an administration on a free port of 127.0.0.1.
    pub fn administered(conf: &Path, workers: u8) -> Self {
        Self::start_with_admin(workers, &["127.0.0.1:0"], "127.0.0.1:0", &["--conf", &conf.to_string_lossy()])
    }

    /// A server at that address, with a configuration.
    pub fn configured_at(conf: &Path, workers: u8, address: SocketAddr) -> Self {
        Self::start_with(workers, &[&address.to_string()], &["--conf", &conf.to_string_lossy()])
    }

    /// A server on a free port of 127.0.0.1 that records its traffic.
    pub fn recording(file: &Path) -> Self {
        Self::start_with(2, &["127.0.0.1:0"], &["--record", &file.to_string_lossy()])
    }

    /// Tells the server to read its configuration again and waits for its answer: whether it has taken the new one.
    ///
    /// # Panics
    /// If it answers anything else.
    pub fn reload(&mut self) -> bool {
        match self.reload_answer().as_str() {
            RELOADED => true,
            KEPT => false,
            other => panic!("not an answer to SIGHUP: {other:?}"),
        }
    }

    /// Tells the server to read its configuration again, and gives back what it says of that.
    pub fn reload_answer(&mut self) -> String {
        self.signal(Signal::HUP);
        self.process.line().unwrap_or_default()
    }

    /// The URI of an instance of that application, on the first address.
    pub fn uri_of(&self, application: &str) -> String {
        format!("rtmfp://{}/{application}/room", self.addresses[0])
    }

    /// The URI of an application on the `index`-th address.
    pub fn uri(&self, index: usize) -> String {
        format!("rtmfp://{}/app/room", self.addresses[index])
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.logged().so_far()
    }

    /// Its log, to wait for something in it.
    pub fn logged(&self) -> &Text {
        self.process.log()
    }

    /// What it has written to its standard output, to wait for something in it.
    pub fn said(&self) -> &Text {
        self.process.output()
    }

    /// Its process id.
    pub fn id(&self) -> Pid {
        self.process.id()
    }

    /// The memory that it has, in KiB.
    pub fn resident(&self) -> u64 {
        self.process.resident()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for its end.
    pub fn ended(self) -> Ended {
        self.process.ended()
    }

    /// Stops it as a service manager does.
    pub fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.ended()
    }
}
