//! A stand-in for systemd: it hears what a server tells it, and passes sockets to a server.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};

use introd_tests::folder::Folder;
use introd_tests::program::{Process, Server, binary};
use introd_tests::waiting::DEADLINE;

/// Binds sockets, and becomes the program with them.
const ACTIVATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/harness/activate.py");

/// What hears a server.
pub(crate) struct Manager {
    socket: UnixDatagram,
    folder: Folder,
}

impl Manager {
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        Self { socket, folder }
    }

    /// A command that runs the program, which tells this manager how it is.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        self.tells(command.args(arguments).env_remove("RUST_LOG"));
        command
    }

    /// Has what the command starts tell this manager how it is.
    pub(crate) fn tells<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify"))
    }

    /// Waits for a message.
    pub(crate) fn wait(&self) -> String {
        self.socket.set_nonblocking(false).expect("a socket");
        self.socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        self.next().expect("a message in time")
    }

    /// Waits for a message with this line, and gives it back with those before it.
    pub(crate) fn wait_for(&self, line: &str) -> Vec<String> {
        self.socket.set_nonblocking(false).expect("a socket");
        self.socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let mut heard = Vec::new();
        while !heard.last().is_some_and(|message: &String| message.lines().any(|said| said == line)) {
            let next = self.next();
            assert!(next.is_some(), "nobody says {line}, only {heard:?}");
            heard.extend(next);
        }
        heard
    }

    /// What it has heard by now.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).expect("a socket");
        std::iter::from_fn(|| self.next()).collect()
    }

    fn next(&self) -> Option<String> {
        let mut bytes = [0; 4096];
        match self.socket.recv(&mut bytes) {
            Ok(length) => Some(String::from_utf8_lossy(&bytes[..length]).into_owned()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A server that is passed this socket, which stays open here, and listens with it.
pub(crate) fn activated_by(socket: &UdpSocket, arguments: &[&str]) -> Server {
    let address = socket.local_addr().expect("an address").to_string();
    let script = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"";
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "sh"])
        .arg(binary())
        .args(["run", "--admin", "none", "--listen", &address])
        .args(arguments);
    let passed = OwnedFd::from(socket.try_clone().expect("a descriptor"));
    command.env_remove("RUST_LOG").stdin(Stdio::from(passed)).stdout(Stdio::piped()).stderr(Stdio::piped());
    Server::of(Process::of(command.spawn().expect("a shell")))
}

/// A command that runs the program with sockets of these kinds (`udp`, the same UDP address `again`, `tcp` or `file`). In the arguments,
/// `{0}` stands for the address of the first one.
pub(crate) fn activated(sockets: &[&str], arguments: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.arg(Path::new(ACTIVATE)).arg(sockets.join(",")).arg(binary()).args(arguments).env_remove("RUST_LOG");
    command
}
