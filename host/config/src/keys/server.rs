//! The keys of Server.xml.

use std::net::Ipv4Addr;
use std::sync::LazyLock;

use super::common::{DAY, MAX_CLIENTS, MAX_RATE, ORDER, order};
use crate::choices::Order;
use crate::key::{self, File, Scope, keys};
use crate::numbers::{Limit, Time, TimeOrDefault, Whole, limit, milliseconds, seconds, seconds_or_default, whole};
use crate::ports::{Ports, ports};
use crate::public_host::PublicAddress;
use crate::rule::Hosts;
use crate::schema::Schema;
use crate::texts::{FilePath, Tree, path};
use crate::words::{Flag, Words, flag};

pub(crate) struct ServerXml;

impl Scope for ServerXml {}

impl File for ServerXml {
    fn schema() -> &'static Schema {
        &SCHEMA
    }
}

type Key<X> = key::Key<ServerXml, X>;

/// The most ports of the administration.
const MAX_ADMIN_PORTS: usize = 16;

pub(crate) static SCHEMA: Schema = Schema {
    file: "Server.xml",
    root: "Root",
    entries: LazyLock::new(entries),
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
        "Server/HtCacheClean",
        "Server/AutoDiscovery",
        "Server/RecordAccessLog",
        "Server/RecordAppLog",
        "Server/Registry",
        "Server/ScriptAdaptors",
    ],
    missed: &[],
    renamed: &[],
    everywhere: None,
    holds_passwords: false,
};

keys! {
    NETWORKING_IPV6: Key<Flag> = Key::ams(
        "Server/NetworkingIPv6@enable",
        flag(true),
        "Whether the server listens by IPv6 too at a port without a host, if this machine has IPv6. It listens at an IPv6 address that is written out in any case",
    );
    PUBLIC_IP: Key<PublicAddress> = Key::ams(
        "Server/PublicIP",
        PublicAddress,
        "The address by which others reach this machine, for every port without a `public` of its own, or the name of a host that has this address, which is looked up again every five minutes and at a reload. Clients in the server's own network are introduced to others by this address and their own ports. Empty: the addresses that the server sees itself",
    );
    WORKERS: Key<Whole> = Key::ours(
        "Server/Workers",
        whole(0..=64, 0),
        "Threads that drive the sockets. 0: one for each core",
    );
    BUSY_POLL: Key<Whole> = Key::ours(
        "Server/BusyPoll",
        whole(0..=10_000, 0),
        "Microseconds for which a worker that has nothing to do looks again and again for datagrams before it sleeps. It answers sooner then, by the time that waking a thread takes, and takes up to a whole core with little load. Use it where each worker has a core of its own. 0: it sleeps at once",
    );
    SCRIPT_THREADS: Key<Whole> = Key::ours(
        "Server/ScriptThreads",
        whole(1..=64, 2),
        "Threads that run the scripts of applications; the instances of an application share one",
    );
    KEYING_THREADS: Key<Whole> = Key::ours(
        "Server/KeyingThreads",
        whole(0..=64, 0),
        "Threads that do the public-key work of handshakes. 0: one for each core. Their niceness is 10 above that of the other threads, so that they give way to the workers",
    );
    ADMIN_ENABLE: Key<Flag> =
        Key::ours("Server/AdminServer@enable", flag(true), "Whether there is an administration");
    ADMIN_HOST_PORT: Key<Ports> = Key::ams(
        "Server/AdminServer/HostPort",
        ports(Some(Ipv4Addr::LOCALHOST), 1111, MAX_ADMIN_PORTS),
        "Where the administration listens, by TCP. It has no TLS: keep it on loopback, or behind a proxy. If an address is not free, the server serves without it, says so, and tries again",
    );
    ADMIN_ALLOW: Key<Hosts> = Key::ams(
        "Server/AdminServer/Allow",
        Hosts,
        "The addresses that may connect to the administration; see the rules",
    );
    ADMIN_DENY: Key<Hosts> = Key::ams(
        "Server/AdminServer/Deny",
        Hosts,
        "The addresses that may not connect to the administration",
    );
    ADMIN_ORDER: Key<Words<Order>> =
        Key::ams("Server/AdminServer/Order", order(), ORDER);
    MAX_FAILURES: Key<Limit> = Key::ams(
        "Server/Security/LoginLimits/MaxFailures",
        limit(1000, Some(3)),
        "Failed logins in a row from one address that begin a lockout of that address. 0: no number of them does",
    );
    RECOVERY_TIME: Key<Time> = Key::ams(
        "Server/Security/LoginLimits/RecoveryTime",
        seconds(0..=DAY, 30),
        "How long the first lockout lasts, in seconds; each further lockout lasts twice as long",
    );
    LOCKOUT_LIMIT: Key<Time> = Key::ams(
        "Server/Security/LoginLimits/LockoutLimit",
        seconds(0..=DAY, 300),
        "How long a lockout lasts at most, in seconds",
    );
    CLOSE_IDLE_CLIENTS: Key<Flag> = Key::ams(
        "Server/AutoCloseIdleClients@enable",
        flag(false),
        "Whether idle clients are disconnected. Virtual hosts and applications may say otherwise",
    );
    IDLE_CHECK_INTERVAL: Key<Time> = Key::ams(
        "Server/AutoCloseIdleClients/CheckInterval",
        seconds(1..=DAY, 60),
        "How often the server looks for idle clients, in seconds",
    );
    MAX_IDLE_TIME: Key<TimeOrDefault> = Key::ams(
        "Server/AutoCloseIdleClients/MaxIdleTime",
        seconds_or_default(30 * DAY, 3600),
        "How long a client may be idle, in seconds. 0 or less: the default",
    );
    MAX_SESSIONS: Key<Limit> = Key::ours(
        "Server/ResourceLimits/Protocol/RTMFP/MaxSessions",
        limit(MAX_CLIENTS, Some(1_048_576)),
        "Open sessions at a time",
    );
    MAX_SESSIONS_PER_ADDRESS: Key<Limit> = Key::ours(
        "Server/ResourceLimits/Protocol/RTMFP/MaxSessionsPerAddress",
        limit(MAX_CLIENTS, Some(2000)),
        "Open sessions at a time from one IP address, half-open ones and those that a client has closed within the last 19 seconds included (until then the server answers repeated closes, RFC 7016 §3.5.5.3). A school or a company behind one NAT has hundreds; an address that opens more keeps no other address out. This and the limits by address that follow count an IPv6 network of 64 bits as one address, since each host has that many",
    );
    MAX_BUFFERED_MEMORY: Key<Limit> = Key::ours(
        "Server/ResourceLimits/Protocol/RTMFP/MaxBufferedMemory",
        limit(1_000_000, Some(512)),
        "Megabytes of messages that all sessions together may hold: sent and not acknowledged, or received in parts. Beyond it the server closes sessions, those that hold most first, of the address that holds most. An idle session holds nothing; what a busy one holds is on its way within a second",
    );
    MAX_PENDING_HANDSHAKES: Key<Whole> = Key::ours(
        "Server/ResourceLimits/Protocol/RTMFP/MaxPendingHandshakes",
        whole(1..=1_000_000, 1024),
        "Handshakes that wait for their public-key work; those beyond it are dropped, hellos that would lead to one are not answered, and the clients repeat them. Addresses take turns, and one address has a quarter of the places at most: a flood from one does not keep others waiting",
    );
    MAX_CONNECTION_RATE: Key<Limit> = Key::ours(
        "Server/ResourceLimits/Protocol/RTMFP/MaxConnectionRate",
        limit(MAX_RATE, None),
        "Sessions opened in a second. A quarter is kept for addresses that have opened none in the last second. There is no limit by default: one client could use up a limit for all, and MaxPendingHandshakes bounds the work already",
    );
    MAX_CONNECTION_RATE_PER_ADDRESS: Key<Limit> = Key::ours(
        "Server/ResourceLimits/Protocol/RTMFP/MaxConnectionRatePerAddress",
        limit(MAX_RATE, Some(500)),
        "Sessions opened in a second from one IP address; clients beyond it repeat their handshake, and get in a second later. A class that starts all at once gets in at once, and a flood takes some hundredths of a processor",
    );
    MAX_LOOKUP_RATE_PER_ADDRESS: Key<Limit> = Key::ours(
        "Server/ResourceLimits/Protocol/RTMFP/MaxLookupRatePerAddress",
        limit(MAX_RATE, Some(20_000)),
        "Peer lookups in a second from one IP address; those beyond it get no answer, and clients repeat them. The default is far more than all the clients behind one NAT make when they join a group together, and a flood takes a tenth of a processor. To protect a script or plugin that decides each lookup, set MaxLookupRate in Application.xml",
    );
    MAX_FORWARD_RATE: Key<Limit> = Key::ours(
        "Server/ResourceLimits/Protocol/RTMFP/MaxForwardRate",
        limit(MAX_RATE, Some(20)),
        "Hellos that the server forwards to one client in a second, after 128 at once; at most half of them come from one address. With a higher rate others could use the server to flood the client; a peer whose hello is not forwarded still receives the addresses of the client",
    );
    MAX_SESSION_WORK: Key<Limit> = Key::ours(
        "Server/ResourceLimits/Protocol/RTMFP/MaxSessionWork",
        limit(1_000_000_000, Some(4_000_000)),
        "Work that one client may cause in a second, in units of some 0.1 microseconds of a core's time: a message costs 5, a command 1 for each 2 bytes, a call of a script 200. What a client sends beyond it is dropped, and a client that does not slow down for ten seconds is closed. Bytes alone cost nothing, so that no honest stream is held up",
    );
    MAX_SCRIPT_MEMORY: Key<Limit> = Key::ours(
        "Server/ResourceLimits/MaxScriptMemory",
        limit(1_000_000, Some(1024)),
        "Megabytes that the scripts of all instances together may use. From three quarters on, instances without clients end early, the longest idle first; at the limit no new instance of an application with a script is made, and existing ones go on. The default is enough for some 10,000 instances of a small script at 100 kB each, or for sixteen that use all that RuntimeSize gives them",
    );
    MAX_HTTP_REQUESTS: Key<Whole> = Key::ours(
        "Server/ResourceLimits/MaxHTTPRequests",
        whole(1..=4096, 128),
        "How many HTTP requests the scripts of all instances together may have under way at a time; further ones wait for their turn. HTTP in Application.xml has the limits of one instance",
    );
    REGISTRY_PLUGIN: Key<FilePath> = Key::ours(
        "Server/PeerRegistry/Plugin@path",
        path(""),
        "The library that keeps the registry of peers that several servers share. Empty: in memory, this server only",
    );
    REGISTRY_CONFIG: Key<Tree> =
        Key::ours("Server/PeerRegistry/Plugin/Config", Tree, "The settings that the library receives");
    LOOKUP_TIMEOUT: Key<Time> = Key::ours(
        "Server/PeerRegistry/LookupTimeout",
        milliseconds(1..=60_000, 500),
        "The timeout of a request to the registry, in milliseconds",
    );
}
