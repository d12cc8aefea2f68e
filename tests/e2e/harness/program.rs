//! Runs the `introd` program.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long the program may take for what it does at once. Only a program that hangs needs it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program: what `INTROD_BIN` names, else the one of this build, brought up to date once.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("INTROD_BIN") {
            return path.into();
        }
        // This test is target/PROFILE/deps/e2e-HASH.
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

/// A program that runs. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// What it has written so far.
    stderr: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; `None` if a signal killed it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::of(Command::new(binary()).args(arguments))
    }

    /// The program as another command starts it.
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let stderr = child.stderr.take().expect("so are its errors");
        let text = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&text);
        // Read all the time: a full pipe would stop the program.
        let reader = Some(std::thread::spawn(move || read_all(stderr, &taken)));
        Self { child, stdout, stderr: text, reader }
    }

    /// The next line of its output; empty when there is no more.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("its output is text");
        line
    }

    /// Its errors and its log so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().expect("its reader")).into_owned()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it takes a signal");
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        let code = loop {
            if let Some(status) = self.child.try_wait().expect("it is a child") {
                break status.code();
            }
            assert!(Instant::now() < deadline, "the program does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        let mut stdout = String::new();
        self.stdout.read_to_string(&mut stdout).expect("its output is text");
        self.reader.take().and_then(|thread| thread.join().ok()).expect("its errors are read");
        let stderr = self.log();
        Ended { code, stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_all(mut stderr: ChildStderr, text: &Mutex<Vec<u8>>) {
    let mut part = [0; 4096];
    while let Ok(length @ 1..) = stderr.read(&mut part) {
        text.lock().expect("its other user").extend_from_slice(&part[..length]);
    }
}

/// A server that listens.
pub(crate) struct Server {
    running: Running,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Server {
    /// Starts a server and waits until it listens.
    pub(crate) fn start(workers: u8, listen: &[&str]) -> Self {
        Self::start_with(workers, listen, &[])
    }

    fn start_with(workers: u8, listen: &[&str], more: &[&str]) -> Self {
        let workers = workers.to_string();
        // Tests read every line that the server and its scripts log.
        let mut arguments = vec!["run", "--log-limit", "0", "--workers", &workers];
        listen.iter().for_each(|address| arguments.extend(["--listen", address]));
        arguments.extend(more);
        let mut running = Running::start(&arguments);
        let mut addresses = Vec::new();
        loop {
            let line = running.line();
            if let Some((_, address)) = line.trim_end().split_once("listens on UDP ") {
                addresses.push(address.parse().expect("the announced address"));
            } else if line.starts_with("stop it with") {
                break;
            } else {
                assert!(!line.is_empty(), "the server does not start: {:?}", running.ended());
            }
        }
        Self { running, addresses }
    }

    /// A server on a free port of both loopback addresses.
    pub(crate) fn on_loopback(workers: u8) -> Self {
        Self::start(workers, &["127.0.0.1:0", "[::1]:0"])
    }

    /// A server on a free port of 127.0.0.1, with a configuration.
    pub(crate) fn configured(conf: &Path, workers: u8) -> Self {
        Self::start_with(workers, &["127.0.0.1:0"], &["--conf", &conf.to_string_lossy()])
    }

    /// A server at that address, with a configuration.
    pub(crate) fn configured_at(conf: &Path, workers: u8, address: SocketAddr) -> Self {
        Self::start_with(workers, &[&address.to_string()], &["--conf", &conf.to_string_lossy()])
    }

    /// A server on a free port of 127.0.0.1 that writes its traffic down.
    pub(crate) fn recording(file: &str) -> Self {
        Self::start_with(2, &["127.0.0.1:0"], &["--record", file])
    }

    /// Has the server read its configuration anew, and waits until it has: whether it was in order.
    pub(crate) fn reload(&mut self) -> bool {
        match self.reload_answer().as_str() {
            "introd has read its configuration anew" => true,
            "introd keeps its old configuration" => false,
            other => panic!("not an answer to SIGHUP: {other:?}"),
        }
    }

    /// Has the server read its configuration anew, and gives back what it says of that.
    pub(crate) fn reload_answer(&mut self) -> String {
        self.signal(Signal::HUP);
        self.running.line().trim_end().to_owned()
    }

    /// The URI of an instance of that application, on the first address.
    pub(crate) fn uri_of(&self, application: &str) -> String {
        format!("rtmfp://{}/{application}/room", self.addresses[0])
    }

    /// The URI of an application on the `index`-th address.
    pub(crate) fn uri(&self, index: usize) -> String {
        format!("rtmfp://{}/app/room", self.addresses[index])
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        self.running.log()
    }

    pub(crate) fn id(&self) -> u32 {
        self.running.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.running.signal(signal);
    }

    pub(crate) fn ended(self) -> Ended {
        self.running.ended()
    }

    /// Stops it as a service manager does.
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.ended()
    }
}

impl Ended {
    /// A counter as the server prints it when it stops.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let line = self.stderr.lines().find(|line| line.contains(&format!("name=\"{name}\"")));
        let count = line.and_then(|line| line.rsplit_once("count=")).and_then(|(_, count)| count.trim().parse().ok());
        count.unwrap_or_else(|| panic!("no counter {name} in {}", self.stderr))
    }

    /// The object in the first line of the output.
    pub(crate) fn json(&self) -> Value {
        let line = self.stdout.lines().next().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs `introd probe` to its end.
pub(crate) fn probe(arguments: &[&str]) -> Ended {
    Running::start(&[&["probe"], arguments].concat()).ended()
}
