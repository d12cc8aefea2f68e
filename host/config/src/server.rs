//! Server.xml: what concerns the server as a whole.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::access::Access;
use super::application::plugin_path;
use super::duration::Unit;
use super::idle::IdleClients;
use super::ports::{Listen, PortList, PortSet};
use super::schema::{Entry, Kind, Schema, ams, ours};
use super::settings::Settings;
use super::view::View;

/// Settings of the server as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Whether a port without a host is listened at by IPv6 too.
    pub networking_ipv6: bool,
    /// What others reach this machine by, where no `public` says otherwise.
    pub public_ip: Option<IpAddr>,
    /// How many threads drive sockets; 0 is one for each core.
    pub workers: usize,
    /// How many threads run scripts.
    pub script_threads: usize,
    /// How many threads do the public-key work of handshakes; 0 is one for each core.
    pub keying_threads: usize,
    /// The administration.
    pub admin: AdminServer,
    /// Failed logins.
    pub login_limits: LoginLimits,
    /// Clients that do nothing.
    pub idle_clients: IdleClients,
    /// How often idle clients are looked for.
    pub idle_check_interval: Duration,
    /// What all clients together may cause.
    pub limits: Limits,
    /// Bytes that the scripts of all instances together may use; `None` is without limit.
    pub max_script_memory: Option<u64>,
    /// Where peers of other servers are looked up.
    pub registry: Registry,
}

/// Where the administration listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminServer {
    /// Whether there is one.
    pub enable: bool,
    /// Where it listens, by TCP.
    pub listen: Vec<Listen>,
    /// Who may connect.
    pub access: Access,
}

/// What happens after failed logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginLimits {
    /// So many failures in a row begin a lockout; `None`: never.
    pub max_failures: Option<u64>,
    /// The first time for which logins are refused.
    pub recovery_time: Duration,
    /// The longest time for which they are.
    pub lockout_limit: Duration,
}

/// What clients may cause; `None` is without limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open sessions at a time.
    pub max_sessions: Option<u64>,
    /// Open sessions at a time from one IP address.
    pub max_sessions_per_address: Option<u64>,
    /// Bytes of messages that all sessions together may hold, both ways.
    pub max_buffered: Option<u64>,
    /// Handshakes whose public-key work waits; those beyond it are dropped, and the clients repeat them.
    pub max_pending_handshakes: u64,
    /// Sessions opened in a second.
    pub max_connection_rate: Option<u64>,
    /// Sessions opened in a second from one IP address.
    pub max_connection_rate_per_address: Option<u64>,
    /// Peer lookups in a second from one IP address.
    pub max_lookup_rate_per_address: Option<u64>,
    /// Hellos forwarded to one client in a second.
    pub max_forward_rate: Option<u64>,
    /// Units of work that one session may make in a second, each some 0.1 us of a core's time.
    pub max_session_work: Option<u64>,
}

/// Where peers of other servers are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// The library that keeps it; `None` is in memory, for this server only.
    pub plugin: Option<PathBuf>,
    /// What that library is told.
    pub config: Settings,
    /// When to stop waiting for an answer.
    pub lookup_timeout: Duration,
}

pub(super) static SCHEMA: Schema = Schema {
    file: "Server.xml",
    root: "Root",
    entries: ENTRIES,
    unsupported: &[
        "ServerDomain",
        "Server/CrossDomainPath",
        "Server/Plugins",
        "Server/SSL",
        "Server/Process",
        "Server/Mask",
        "Server/LicenseInfo",
        "Server/LicenseInfoEx",
        "Server/ActiveProfile",
        "Server/ReadBufferSize",
        "Server/Security/VirtualDirectoryForFile",
        "Server/Security/MaxUrlLength",
        "Server/AdminServer/CrossDomainPath",
        "Server/AdminServer/RTMP",
        "Server/AdminServer/IpcHostPort",
        "Server/AdminServer/SocketGC",
        "Server/AdminServer/Process",
        "Server/AdminServer/AdminElem",
        "Server/ResourceLimits/FLVCachePurge",
        "Server/ResourceLimits/FLVCache",
        "Server/ResourceLimits/FLVCacheSize",
        "Server/ResourceLimits/RecBuffer",
        "Server/ResourceLimits/CPUMonitor",
        "Server/ResourceLimits/ThreadPoolGC",
        "Server/ResourceLimits/MsgPoolGC",
        "Server/ResourceLimits/ApplicationGC",
        "Server/ResourceLimits/SocketGC",
        "Server/ResourceLimits/ProcVMSizeMonitorInterval",
        "Server/ResourceLimits/ProcVMSizeWarn",
        "Server/ResourceLimits/ProcVMSizeNominal",
        "Server/ResourceLimits/SSLSessionCacheGC",
        "Server/ResourceLimits/Connector",
        "Server/ResourceLimits/Protocol/RTMP",
        "Server/ResourceLimits/Protocol/ECCP",
        "Server/ResourceLimits/Protocol/ACCP",
        "Server/ResourceLimits/IPCQueues",
        "Server/ResourceLimits/MessageCache",
        "Server/ResourceLimits/SmallMemPool",
        "Server/ResourceLimits/LargeMemPool",
        "Server/ResourceLimits/SegmentsPool",
        "Server/ResourceLimits/Master",
        "Server/ResourceLimits/Edge",
        "Server/Logging",
        "Server/Localhost",
        "Server/SWFVerification",
        "Server/Streams",
        "Server/Httpd",
        "Server/Registry",
        "Server/ScriptAdaptors",
    ],
    renamed: &[],
    everywhere: &[],
};

/// The longest time in the files: a day.
const DAY: u64 = 86_400;
const RATE: Kind = Kind::Limit { most: 10_000_000 };
const SECONDS: Kind = Kind::Time { unit: Unit::Seconds, least: 0, most: DAY };

const ENTRIES: &[Entry] = &[
    ams(
        "Server/NetworkingIPv6@enable",
        Kind::Flag,
        "true",
        "Whether a port without a host is listened at by IPv6 too, if this machine has it. An IPv6 address that is written out is listened at in any case",
    ),
    ams(
        "Server/PublicIP",
        Kind::Address,
        "",
        "What others reach this machine by, for every port without a `public` of its own. Empty: as the server sees itself",
    ),
    ours(
        "Server/Workers",
        Kind::Whole { least: 0, most: 64 },
        "0",
        "Threads that drive the sockets. 0: one for each core",
    ),
    ours(
        "Server/ScriptThreads",
        Kind::Whole { least: 1, most: 64 },
        "2",
        "Threads that run the scripts of applications; the instances of an application share one",
    ),
    ours(
        "Server/KeyingThreads",
        Kind::Whole { least: 0, most: 64 },
        "0",
        "Threads that do the public-key work of handshakes. 0: one for each core",
    ),
    ours("Server/AdminServer@enable", Kind::Flag, "false", "Whether there is an administration")
        .without_effect(NO_ADMINISTRATION),
    ams(
        "Server/AdminServer/HostPort",
        Kind::Ports,
        "127.0.0.1:1111",
        "Where the administration listens, by TCP. It has no TLS: keep it on loopback, or behind a proxy",
    )
    .without_effect(NO_ADMINISTRATION),
    ams("Server/AdminServer/Allow", Kind::Hosts, "", "Who may connect to the administration; see the rules")
        .without_effect(NO_ADMINISTRATION),
    ams("Server/AdminServer/Deny", Kind::Hosts, "", "Who may not").without_effect(NO_ADMINISTRATION),
    ams("Server/AdminServer/Order", ORDER, "Allow,Deny", "Which of the two has the last word; see the rules")
        .without_effect(NO_ADMINISTRATION),
    ams(
        "Server/Security/LoginLimits/MaxFailures",
        Kind::Limit { most: 1000 },
        "3",
        "Failed logins in a row that begin a lockout. 0: they never do",
    )
    .without_effect(NO_ADMINISTRATION),
    ams(
        "Server/Security/LoginLimits/RecoveryTime",
        SECONDS,
        "30",
        "How long the first lockout lasts, in seconds; each one more lasts twice as long",
    )
    .without_effect(NO_ADMINISTRATION),
    ams("Server/Security/LoginLimits/LockoutLimit", SECONDS, "300", "How long a lockout lasts at most, in seconds")
        .without_effect(NO_ADMINISTRATION),
    ams(
        "Server/AutoCloseIdleClients@enable",
        Kind::Flag,
        "false",
        "Whether clients that do nothing are disconnected. Virtual hosts and applications may say otherwise",
    ),
    ams(
        "Server/AutoCloseIdleClients/CheckInterval",
        Kind::Time { unit: Unit::Seconds, least: 1, most: DAY },
        "60",
        "How often they are looked for, in seconds",
    ),
    ams(
        "Server/AutoCloseIdleClients/MaxIdleTime",
        Kind::Time { unit: Unit::Seconds, least: 1, most: 30 * DAY },
        "3600",
        "How long a client may do nothing, in seconds",
    ),
    ours(
        "Server/ResourceLimits/Protocol/RTMFP/MaxSessions",
        Kind::Limit { most: 100_000_000 },
        "1048576",
        "Open sessions at a time",
    ),
    ours(
        "Server/ResourceLimits/Protocol/RTMFP/MaxSessionsPerAddress",
        Kind::Limit { most: 100_000_000 },
        "2000",
        "Open sessions at a time from one IP address, half-open ones included. A school or a company behind one NAT has hundreds; one that opens more keeps nobody else out. In this and the limits by address that follow, an IPv6 address is a network of 64 bits: so many addresses each host has",
    ),
    ours(
        "Server/ResourceLimits/Protocol/RTMFP/MaxBufferedMemory",
        Kind::Limit { most: 1_000_000 },
        "512",
        "Megabytes of messages that all sessions together may hold: sent and not acknowledged, or received in parts. Beyond it sessions are closed, those that hold most first, of the address that holds most. A session that waits holds nothing; what a busy one holds is on its way within a second",
    ),
    ours(
        "Server/ResourceLimits/Protocol/RTMFP/MaxPendingHandshakes",
        Kind::Whole { least: 1, most: 1_000_000 },
        "1024",
        "Handshakes that wait for their public-key work; those beyond it are dropped, and the clients repeat them. Addresses take turns, and one address has a quarter of the places at most: a flood from one does not keep others waiting",
    ),
    ours(
        "Server/ResourceLimits/Protocol/RTMFP/MaxConnectionRate",
        RATE,
        "-1",
        "Sessions opened in a second. A quarter is kept for addresses that have opened none in the last second. Not limited by itself: a limit for all is one that somebody can use up, and the work is bounded by MaxPendingHandshakes already",
    ),
    ours(
        "Server/ResourceLimits/Protocol/RTMFP/MaxConnectionRatePerAddress",
        RATE,
        "500",
        "Sessions opened in a second from one IP address; clients beyond it repeat their handshake, and get in a second later. A class that starts all at once gets in at once, and a flood takes some hundredths of a processor",
    ),
    ours(
        "Server/ResourceLimits/Protocol/RTMFP/MaxLookupRatePerAddress",
        RATE,
        "20000",
        "Peer lookups in a second from one IP address; those beyond it get no answer, and clients repeat them. Many more than all the clients behind one NAT make when they join a group together, and a flood takes a tenth of a processor. What a script or plugin that is asked each time can stand is for MaxLookupRate in Application.xml to say",
    ),
    ours(
        "Server/ResourceLimits/Protocol/RTMFP/MaxForwardRate",
        Kind::Limit { most: 10_000_000 },
        "20",
        "Hellos of those who look for a client that are forwarded to it in a second, after 128 at once; half of them at most for those of one address. More would let others have \
         the server flood the client; who looks for it is still told where it is",
    ),
    ours(
        "Server/ResourceLimits/Protocol/RTMFP/MaxSessionWork",
        Kind::Limit { most: 1_000_000_000 },
        "4000000",
        "Work that one client may make in a second, in units of some 0.1 microseconds of a core's time: of a message 5, of a \
         command 1 for each 2 bytes, of a call of a script 200. What is sent beyond it is dropped, and a client that does not slow \
         down for ten seconds is closed. Bytes alone cost nothing, so that no honest stream is held up",
    ),
    ours(
        "Server/ResourceLimits/MaxScriptMemory",
        Kind::Limit { most: 1_000_000 },
        "1024",
        "Megabytes that the scripts of all instances together may use. From three quarters on, instances without clients end early, the longest idle first; at the limit no new instance of an application with a script is made. Some 12,000 instances of a small script at 84 kB each, or sixteen that use all that RuntimeSize gives them; what is there already goes on",
    ),
    ours(
        "Server/PeerRegistry/Plugin@path",
        Kind::Path,
        "",
        "The library that keeps the registry of peers that several servers share. Empty: in memory, this server only",
    ),
    ours("Server/PeerRegistry/Plugin/Config", Kind::Tree, "", "What that library is told"),
    ours(
        "Server/PeerRegistry/LookupTimeout",
        Kind::Time { unit: Unit::Milliseconds, least: 1, most: 60_000 },
        "500",
        "When to stop waiting for the registry's answer, in milliseconds",
    ),
];

/// The words of every `Order` element.
pub(super) const ORDER: Kind = Kind::Word(&["Allow,Deny", "Deny,Allow"]);
/// What an `Allow` element is for, where it is about clients.
pub(super) const ALLOW: &str = "Who may connect. Empty: everyone if `Order` is `Allow,Deny`, nobody in particular if it is `Deny,Allow`; see the rules";
/// Why what concerns administrators shuts nothing.
pub(super) const NO_ADMINISTRATION: &str = "this server has no administration yet";

impl Server {
    pub(super) fn read(view: &View<'_>, root: &std::path::Path) -> Self {
        let networking_ipv6 = view.flag("Server/NetworkingIPv6@enable");
        let local = view.parsed("Server/AdminServer/HostPort", |_, text| {
            let list = PortList::parse(text, (1111, 1111)).map_err(Some)?;
            if list.count() > 16 { Err(Some("more than 16 ports".into())) } else { Ok(list) }
        });
        let limits = |name: &str| view.limit(&format!("Server/ResourceLimits/Protocol/RTMFP/{name}"));
        let recovery_time = view.time("Server/Security/LoginLimits/RecoveryTime");
        let lockout_limit = view.time("Server/Security/LoginLimits/LockoutLimit");
        if lockout_limit < recovery_time {
            view.problem("Server/Security/LoginLimits/LockoutLimit", |path| {
                format!("{path} is shorter than RecoveryTime")
            });
        }
        Self {
            networking_ipv6,
            public_ip: view.address("Server/PublicIP"),
            workers: count(view, "Server/Workers"),
            script_threads: count(view, "Server/ScriptThreads"),
            keying_threads: count(view, "Server/KeyingThreads"),
            admin: AdminServer {
                enable: view.flag("Server/AdminServer@enable"),
                listen: Listen::all(&PortSet { local, public: None }, networking_ipv6, None),
                access: Access::read(view, "Server/AdminServer/"),
            },
            login_limits: LoginLimits {
                max_failures: view.limit("Server/Security/LoginLimits/MaxFailures").filter(|failures| *failures > 0),
                recovery_time,
                lockout_limit,
            },
            idle_clients: IdleClients {
                enable: view.flag("Server/AutoCloseIdleClients@enable"),
                max_idle_time: view.time("Server/AutoCloseIdleClients/MaxIdleTime"),
            },
            idle_check_interval: view.time("Server/AutoCloseIdleClients/CheckInterval"),
            limits: Limits {
                max_sessions: limits("MaxSessions"),
                max_sessions_per_address: limits("MaxSessionsPerAddress"),
                max_buffered: limits("MaxBufferedMemory").map(|megabytes| megabytes << 20),
                max_pending_handshakes: view.whole("Server/ResourceLimits/Protocol/RTMFP/MaxPendingHandshakes"),
                max_connection_rate: limits("MaxConnectionRate"),
                max_connection_rate_per_address: limits("MaxConnectionRatePerAddress"),
                max_lookup_rate_per_address: limits("MaxLookupRatePerAddress"),
                max_forward_rate: limits("MaxForwardRate"),
                max_session_work: limits("MaxSessionWork"),
            },
            max_script_memory: view.limit("Server/ResourceLimits/MaxScriptMemory").map(|megabytes| megabytes << 20),
            registry: Registry {
                plugin: view.path("Server/PeerRegistry/Plugin@path").map(|path| plugin_path(root, &path)),
                config: Settings::read(view, "Server/PeerRegistry/Plugin/Config"),
                lookup_timeout: view.time("Server/PeerRegistry/LookupTimeout"),
            },
        }
    }
}

/// The table keeps such numbers small.
fn count(view: &View<'_>, path: &str) -> usize {
    usize::try_from(view.whole(path)).unwrap_or(usize::MAX)
}
