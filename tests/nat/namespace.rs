//! Network namespaces, by `ip` and `nft`.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::process::{Command, Output, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace. It is deleted when this is dropped.
pub(crate) struct Namespace(String);

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).output();
    }
}

impl Namespace {
    pub(crate) fn new(name: &str) -> Self {
        ready();
        // The number of the process says whether its owner still lives.
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let new = Self(format!("{PREFIX}{}-{number}-{name}", std::process::id()));
        run("ip", &["netns", "add", &new.0], "");
        new.ip("link set lo up");
        new
    }

    /// Commands of `ip` in the namespace, one a line.
    pub(crate) fn ip(&self, lines: &str) {
        run("ip", &["-n", &self.0, "-batch", "-"], lines);
    }

    /// Loads rules of nftables in the namespace.
    pub(crate) fn nft(&self, rules: &str) {
        self.run("nft", &["-f", "-"], rules);
    }

    /// Runs a program in the namespace to its end, with this input.
    pub(crate) fn run(&self, program: &str, arguments: &[&str], input: &str) -> Output {
        run("ip", &[&["netns", "exec", &self.0, program], arguments].concat(), input)
    }

    /// A command that runs a program in the namespace.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(program).env_remove("RUST_LOG");
        command
    }

    /// Runs `work` in a thread of this program in the namespace: its sockets are in the namespace.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/var/run/netns/{}", self.0)).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Makes an interface `wan` in the namespace and connects it to the bridge `br0` of another one, at that port.
    pub(crate) fn plug_into(&self, switch: &Namespace, port: u8) {
        let end = format!("p{port}");
        let link = ["link", "add", "wan", "netns", &self.0, "type", "veth", "peer", "name", &end, "netns", &switch.0];
        run("ip", &link, "");
        switch.ip(&format!("link set {end} master br0\nlink set {end} up"));
    }

    /// Forwards packets from one interface to another.
    pub(crate) fn forward(&self) {
        self.run("sysctl", &["-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"], "");
        // Where the kernel has it, packets within a bridge would take the rules that are meant for those that are forwarded.
        let bridged = ["net.bridge.bridge-nf-call-iptables=0", "net.bridge.bridge-nf-call-ip6tables=0"];
        self.run("sysctl", &[&["-eqw"][..], &bridged].concat(), "");
    }
}

const PREFIX: &str = "introd-nat-";

/// Says what is missing, and removes what killed runs left behind.
fn ready() {
    static READY: Once = Once::new();
    READY.call_once(|| {
        assert!(rustix::process::geteuid().is_root(), "these tests make network namespaces: run them as root");
        for (program, package) in
            [("ip", "iproute2"), ("nft", "nftables"), ("sysctl", "procps"), ("redis-server", "redis-server")]
        {
            let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            let found = found.is_ok()
                || ["/usr/sbin", "/sbin"].iter().any(|dir| std::path::Path::new(dir).join(program).exists());
            assert!(found, "these tests need the program {program}: install {package}");
        }
        let listed = run("ip", &["netns", "list"], "");
        for name in String::from_utf8_lossy(&listed.stdout).lines().filter_map(|line| line.split(' ').next()) {
            let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
            if owner.is_some_and(|pid| !std::path::Path::new("/proc").join(pid).exists()) {
                run("ip", &["netns", "del", name], "");
            }
        }
    });
}

fn run(program: &str, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{program} {} failed: {}\n{input}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
