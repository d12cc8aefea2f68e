//! Hosts in network namespaces, on one "internet", some of them behind translators.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd as _;
use std::process::{Command, Output, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

/// How a translator gives out its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nat {
    /// The same outside port for every destination; in comes only what the inside has sent to, address and port. What most
    /// homes have.
    PortRestricted,
    /// Another outside port for each destination; in comes only what answers.
    Symmetric,
}

/// A namespace; gone when dropped.
struct Namespace(String);

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).output();
    }
}

impl Namespace {
    fn new(name: &str) -> Self {
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
    fn ip(&self, lines: &str) {
        run("ip", &["-n", &self.0, "-batch", "-"], lines);
    }

    fn nft(&self, rules: &str) {
        self.run("nft", &["-f", "-"], rules);
    }

    fn run(&self, program: &str, arguments: &[&str], input: &str) -> Output {
        run("ip", &[&["netns", "exec", &self.0, program], arguments].concat(), input)
    }

    /// What leads packets on from one interface to another.
    fn forward(&self) {
        self.run("sysctl", &["-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"], "");
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

/// The part of the internet that everybody reaches: a switch. Its addresses are those of documentation.
pub(crate) struct Internet {
    switch: Namespace,
    hosts: std::cell::Cell<u8>,
}

/// A host.
pub(crate) struct Host {
    namespace: Namespace,
    /// Its own IPv4 address, if it has one.
    pub(crate) v4: Option<Ipv4Addr>,
    /// Its own IPv6 address, if it has one.
    pub(crate) v6: Option<Ipv6Addr>,
    /// What it is behind, if that is nobody else's to keep.
    routers: Vec<Router>,
}

/// A translator, with a network behind it.
pub(crate) struct Router {
    namespace: Namespace,
    /// Its address on the outside.
    pub(crate) outside: Ipv4Addr,
    inside: [u8; 3],
    hosts: std::cell::Cell<u8>,
}

impl Internet {
    pub(crate) fn new() -> Self {
        let switch = Namespace::new("net");
        // No spanning tree, and no waiting for one.
        switch.ip("link add br0 type bridge stp_state 0 forward_delay 0\nlink set br0 up");
        Self { switch, hosts: std::cell::Cell::new(0) }
    }

    fn number(&self) -> u8 {
        self.hosts.set(self.hosts.get() + 1);
        self.hosts.get()
    }

    /// Connects a namespace to the switch: its interface `wan`.
    fn plug(&self, namespace: &Namespace, number: u8) {
        let (own, switch) = (&namespace.0, &self.switch.0);
        run(
            "ip",
            &[
                "link",
                "add",
                "wan",
                "netns",
                own,
                "type",
                "veth",
                "peer",
                "name",
                &format!("p{number}"),
                "netns",
                switch,
            ],
            "",
        );
        self.switch.ip(&format!("link set p{number} master br0\nlink set p{number} up"));
    }

    /// A host that everybody reaches.
    pub(crate) fn host(&self, name: &str) -> Host {
        let number = self.number();
        let namespace = Namespace::new(name);
        self.plug(&namespace, number);
        let (v4, v6) = (Ipv4Addr::new(203, 0, 113, number), v6(number));
        namespace.ip(&format!("addr add {v4}/24 dev wan\naddr add {v6}/64 dev wan nodad\nlink set wan up"));
        // A server tells others the address that leads out.
        namespace.ip("route add default dev wan\nroute add ::/0 dev wan");
        Host::new(namespace, Some(v4), Some(v6))
    }

    /// A host that is reached by IPv6 only.
    pub(crate) fn host_v6(&self, name: &str) -> Host {
        let number = self.number();
        let namespace = Namespace::new(name);
        self.plug(&namespace, number);
        let v6 = v6(number);
        namespace.ip(&format!("addr add {v6}/64 dev wan nodad\nlink set wan up"));
        Host::new(namespace, None, Some(v6))
    }

    /// A translator.
    pub(crate) fn nat(&self, name: &str, kind: Nat) -> Router {
        let number = self.number();
        let namespace = Namespace::new(name);
        self.plug(&namespace, number);
        let outside = Ipv4Addr::new(203, 0, 113, number);
        namespace.ip(&format!("addr add {outside}/24 dev wan\nlink set wan up"));
        Router::new(namespace, outside, [192, 168, number], kind)
    }
}

fn v6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into())
}

impl Router {
    fn new(namespace: Namespace, outside: Ipv4Addr, inside: [u8; 3], kind: Nat) -> Self {
        let ports = match kind {
            Nat::PortRestricted => "",
            Nat::Symmetric => "fully-random",
        };
        let [a, b, c] = inside;
        namespace.ip(&format!(
            "link add br0 type bridge stp_state 0 forward_delay 0\naddr add {a}.{b}.{c}.1/24 dev br0\nlink set br0 up"
        ));
        namespace.forward();
        // What comes unasked is dropped without a word, as routers do: it must not count as a connection of the router's own.
        namespace.nft(&format!(
            "table ip nat {{\n\
             chain out {{\n type nat hook postrouting priority 100;\n oifname wan meta l4proto udp masquerade {ports}\n }}\n\
             chain self {{\n type filter hook input priority 0;\n iifname wan drop\n }}\n\
             chain pass {{\n type filter hook forward priority 0;\n iifname wan ct state new,invalid drop\n }}\n}}\n"
        ));
        Self { namespace, outside, inside, hosts: std::cell::Cell::new(1) }
    }

    fn number(&self) -> u8 {
        self.hosts.set(self.hosts.get() + 1);
        self.hosts.get()
    }

    fn plug(&self, namespace: &Namespace, number: u8) -> Ipv4Addr {
        let [a, b, c] = self.inside;
        let (own, router) = (&namespace.0, &self.namespace.0);
        run(
            "ip",
            &[
                "link",
                "add",
                "wan",
                "netns",
                own,
                "type",
                "veth",
                "peer",
                "name",
                &format!("p{number}"),
                "netns",
                router,
            ],
            "",
        );
        self.namespace.ip(&format!("link set p{number} master br0\nlink set p{number} up"));
        let v4 = Ipv4Addr::new(a, b, c, number);
        namespace.ip(&format!("addr add {v4}/24 dev wan\nlink set wan up\nroute add default via {a}.{b}.{c}.1"));
        v4
    }

    /// A host behind it.
    pub(crate) fn host(&self, name: &str) -> Host {
        let namespace = Namespace::new(name);
        let v4 = self.plug(&namespace, self.number());
        Host::new(namespace, Some(v4), None)
    }

    /// The only host behind it, which keeps it.
    pub(crate) fn into_host(self, name: &str) -> Host {
        let host = self.host(name);
        host.behind(self)
    }

    /// Another translator behind it.
    pub(crate) fn nat(&self, name: &str, kind: Nat) -> Router {
        let namespace = Namespace::new(name);
        let number = self.number();
        let outside = self.plug(&namespace, number);
        Router::new(namespace, outside, [10, self.inside[2], number], kind)
    }
}

impl Host {
    fn new(namespace: Namespace, v4: Option<Ipv4Addr>, v6: Option<Ipv6Addr>) -> Self {
        // What comes in is counted by where it comes from.
        namespace.nft(
            "table inet seen {\n\
             set four {\n type ipv4_addr\n size 4096\n flags dynamic\n counter\n }\n\
             set six {\n type ipv6_addr\n size 4096\n flags dynamic\n counter\n }\n\
             chain in {\n type filter hook input priority -300;\n\
             meta nfproto ipv4 meta l4proto udp update @four { ip saddr }\n\
             meta nfproto ipv6 meta l4proto udp update @six { ip6 saddr }\n }\n}\n",
        );
        Self { namespace, v4, v6, routers: Vec::new() }
    }

    /// Keeps a translator for as long as the host is there.
    pub(crate) fn behind(mut self, router: Router) -> Self {
        self.routers.push(router);
        self
    }

    /// A command that runs a program there.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace.0]).arg(program).env_remove("RUST_LOG");
        command
    }

    /// Has a thread of this program work there: its sockets are the host's.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/var/run/netns/{}", self.namespace.0)).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// How many UDP packets and bytes came in from each address.
    pub(crate) fn received(&self) -> HashMap<IpAddr, (u64, u64)> {
        let mut seen = HashMap::new();
        for set in ["four", "six"] {
            let listed = self.namespace.run("nft", &["-j", "list", "set", "inet", "seen", set], "");
            let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
            let sets = listed["nftables"].as_array().unwrap().iter();
            for element in sets.filter_map(|item| item["set"]["elem"].as_array()).flatten() {
                let element = &element["elem"];
                let count = |what: &str| element["counter"][what].as_u64().unwrap();
                let from = element["val"].as_str().unwrap().parse().unwrap();
                seen.insert(from, (count("packets"), count("bytes")));
            }
        }
        seen
    }
}
