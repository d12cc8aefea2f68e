//! Redis servers of the tests' own, a way to cut and slow what goes to them, and registries.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use introd_plugin::{Address, Origin, PeerId};
use registry_redis::{Answer, Log, Registry, Settings};
use rustix::process::{Pid, Signal, kill_process};

/// Only what hangs needs it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until it is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A folder; gone when dropped.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
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
pub(crate) struct Redis {
    child: Child,
    pub(crate) port: u16,
    folder: Folder,
    arguments: Vec<String>,
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With more arguments; `{dir}` in them is its folder.
    pub(crate) fn with(arguments: &[&str]) -> Self {
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

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it and starts another, which knows nothing, at the same port.
    pub(crate) fn restart_empty(&mut self) {
        self.kill();
        self.child = spawn(self.port, &self.folder.0, &self.arguments);
        self.wait();
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn freeze(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    pub(crate) fn thaw(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
    }

    /// Runs a command by a connection of its own; the answer as text, one line for each part.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        command(self.port, words)
    }

    /// The processor time that it has taken, in seconds.
    pub(crate) fn cpu(&self) -> f64 {
        let info = self.command(&["INFO", "cpu"]);
        let part = |name: &str| -> f64 {
            info.lines().find_map(|line| line.strip_prefix(name)).and_then(|rest| rest.parse().ok()).unwrap()
        };
        part("used_cpu_sys:") + part("used_cpu_user:")
    }

    /// How often a command was called.
    pub(crate) fn calls(&self, command: &str) -> u64 {
        let stats = self.command(&["INFO", "commandstats"]);
        let line =
            stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")).map(str::to_owned));
        line.and_then(|line| line.split(',').next().unwrap().parse().ok()).unwrap_or(0)
    }
}

pub(crate) fn command(port: u16, words: &[&str]) -> String {
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
pub(crate) struct Line {
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
    pub(crate) fn to(port: u16) -> Self {
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

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// As if this server, or its network, had died.
    pub(crate) fn cut(&self) {
        self.state.is_cut.store(true, Ordering::SeqCst);
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn mend(&self) {
        self.state.is_cut.store(false, Ordering::SeqCst);
    }

    pub(crate) fn slow(&self, delay: Duration) {
        self.state.delay.store(delay.as_micros() as u64, Ordering::SeqCst);
    }

    pub(crate) fn bytes(&self) -> u64 {
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

/// Settings that notice deaths quickly.
pub(crate) fn settings(url: &str) -> Settings {
    Settings { url: vec![url.to_owned()], heartbeat: 1000, timeout: 1000, ..Settings::default() }
}

/// The lines that a registry has logged.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    pub(crate) fn log(&self) -> Log {
        let lines = self.clone();
        Box::new(move |severity, text| lines.0.lock().unwrap().push(format!("{severity:?}: {text}")))
    }

    pub(crate) fn contain(&self, text: &str) -> bool {
        self.0.lock().unwrap().iter().any(|line| line.contains(text))
    }
}

pub(crate) fn registry(settings: Settings) -> Registry {
    Registry::start(settings, Lines::default().log()).unwrap()
}

pub(crate) fn peer(number: u32) -> PeerId {
    let mut id = [0x5a; 32];
    id[..4].copy_from_slice(&number.to_be_bytes());
    PeerId(id)
}

pub(crate) fn addresses(host: u8) -> Vec<Address> {
    vec![
        Address::new(([203, 0, 113, host], 40_000).into(), Origin::Observed),
        Address::new(([198, 51, 100, host], 1935).into(), Origin::Relay),
    ]
}

/// Looks a peer up and waits for the answer.
pub(crate) fn find(registry: &Registry, peer: PeerId) -> Answer {
    let (sender, answered) = channel();
    let reply = move |answer| drop(sender.send(answer));
    match registry.find(peer, || Some(Box::new(reply))) {
        Some(answer) => answer,
        None => answered.recv_timeout(PATIENCE).expect("an answer"),
    }
}

pub(crate) fn is_at(registry: &Registry, peer: PeerId, host: u8) -> bool {
    find(registry, peer) == Ok(Some(addresses(host)))
}

pub(crate) fn figure(registry: &Registry, name: &str) -> u64 {
    registry.stats().all().find(|(known, ..)| *known == name).unwrap().3
}

pub(crate) fn connected(registry: &Registry) {
    eventually("it is connected", || figure(registry, "connected") == 1);
}
