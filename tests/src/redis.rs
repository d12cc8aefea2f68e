//! Redis servers of the tests' own, and lines to them that can be cut and slowed.

#![allow(clippy::unwrap_used, reason = "for tests, which fail by panicking")]
#![allow(clippy::missing_panics_doc, reason = "for tests, which fail by panicking")]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Only what hangs needs it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until it is so.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A folder; gone when dropped.
pub struct Folder(
    /// Where it is.
    pub PathBuf,
);

impl Folder {
    /// An empty one.
    #[allow(clippy::new_without_default, reason = "it is made on disk")]
    pub fn new() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("introd-redis-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A Redis server. Dropping it kills it.
pub struct Redis {
    child: Child,
    /// The port of 127.0.0.1 that it listens at.
    pub port: u16,
    folder: Folder,
    arguments: Vec<String>,
}

/// A TCP port of 127.0.0.1 that nobody listens at.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Redis {
    /// One as it comes.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With more arguments; `{dir}` in them is its folder.
    pub fn with(arguments: &[&str]) -> Self {
        let (port, folder) = (free_port(), Folder::new());
        let dir = folder.0.to_string_lossy().into_owned();
        let arguments: Vec<String> = arguments.iter().map(|it| it.replace("{dir}", &dir)).collect();
        let child = spawn(port, &folder.0, &arguments);
        let redis = Self { child, port, folder, arguments };
        redis.wait();
        redis
    }

    fn wait(&self) {
        eventually("redis-server listens", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it and starts another, which knows nothing, at the same port.
    pub fn restart_empty(&mut self) {
        self.kill();
        self.child = spawn(self.port, &self.folder.0, &self.arguments);
        self.wait();
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it without a word: its connections stay open.
    pub fn freeze(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
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

fn spawn(port: u16, folder: &Path, arguments: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("these tests need redis-server: install redis-server")
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server's connections to Redis go through.
pub struct Line {
    address: SocketAddr,
    state: Arc<LineState>,
}

#[derive(Default)]
struct LineState {
    is_cut: AtomicBool,
    /// Microseconds that everything is late.
    delay: AtomicU64,
    /// Bytes that went through, both ways.
    bytes: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

impl Line {
    /// A line to the Redis at that port.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let line = Self { address: listener.local_addr().unwrap(), state: Arc::default() };
        let state = Arc::clone(&line.state);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if state.is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                state.open.lock().unwrap().extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
                for (from, to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
                    let state = Arc::clone(&state);
                    std::thread::spawn(move || carry(from, to, &state));
                }
            }
        });
        line
    }

    /// Where the line begins.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// As if this server, or its network, had died.
    pub fn cut(&self) {
        self.state.is_cut.store(true, Ordering::SeqCst);
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets connections be made again.
    pub fn mend(&self) {
        self.state.is_cut.store(false, Ordering::SeqCst);
    }

    /// Delays all that goes through from now on, each way.
    pub fn slow(&self, delay: Duration) {
        self.state.delay.store(delay.as_micros() as u64, Ordering::SeqCst);
    }

    /// How many bytes have gone through, both ways.
    pub fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::SeqCst)
    }
}

/// Reads go on while earlier bytes are late, as on a long cable.
fn carry(mut from: TcpStream, mut to: TcpStream, state: &Arc<LineState>) {
    let (sender, late) = channel::<(Instant, Vec<u8>)>();
    let writer = std::thread::spawn(move || {
        while let Ok((due, bytes)) = late.recv() {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
    let mut buffer = vec![0; 1 << 16];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        state.bytes.fetch_add(len as u64, Ordering::SeqCst);
        let delay = Duration::from_micros(state.delay.load(Ordering::SeqCst));
        if sender.send((Instant::now() + delay, buffer[..len].to_vec())).is_err() {
            break;
        }
    }
    drop(sender);
    let _ = writer.join();
}
