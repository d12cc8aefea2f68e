//! Server.xml: what concerns the server as a whole.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::access::Access;
use super::idle::IdleClients;
use super::keys::server as keys;
use super::listen::{Listen, PortSet};
use super::plugin::plugin_path;
use super::public_host::PublicHost;
use super::settings::XmlSettings;
use super::view::View;

/// Settings of the server as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Whether a port without a host is listened at by IPv6 too.
    pub networking_ipv6: bool,
    /// The host by which others reach this machine, where no `public` says otherwise.
    pub public_ip: Option<PublicHost>,
    /// How many threads drive sockets; 0 is one for each core.
    pub workers: usize,
    /// How long a worker without work looks for datagrams before it sleeps.
    pub busy_poll: Duration,
    /// How many threads run scripts.
    pub script_threads: usize,
    /// How many threads do the public-key work of handshakes; 0 is one for each core.
    pub keying_threads: usize,
    /// The administration.
    pub admin: AdminServer,
    /// Failed logins.
    pub login_limits: LoginLimits,
    /// What happens to idle clients.
    pub idle_clients: IdleClients,
    /// How often the server looks for idle clients.
    pub idle_check_interval: Duration,
    /// Limits on what clients may cause.
    pub limits: ServerLimits,
    /// Bytes that the scripts of all instances together may use; `None` is without limit.
    pub max_script_memory: Option<u64>,
    /// How many HTTP requests the scripts of all instances may have under way at a time.
    pub max_http_requests: usize,
    /// Where the server looks up peers of other servers.
    pub registry: Registry,
}

/// Where the administration listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminServer {
    /// Whether there is one.
    pub enable: bool,
    /// Where it listens, by TCP.
    pub listen: Vec<Listen>,
    /// The addresses that may connect.
    pub access: Access,
}

/// What happens after failed logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginLimits {
    /// Failures in a row that begin a lockout; `None` means that no number of them does.
    pub max_failures: Option<u64>,
    /// The first time for which logins are refused.
    pub recovery_time: Duration,
    /// The longest time for which they are.
    pub lockout_limit: Duration,
}

/// Limits on what clients may cause; `None` is without limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Open sessions at a time.
    pub max_sessions: Option<u64>,
    /// Open sessions at a time from one IP address.
    pub max_sessions_per_address: Option<u64>,
    /// Bytes of messages that all sessions together may hold, both ways.
    pub max_buffered: Option<u64>,
    /// Handshakes that wait for their public-key work; those beyond it are dropped, and the clients repeat them.
    pub max_pending_handshakes: u64,
    /// Sessions opened in a second.
    pub max_connection_rate: Option<u64>,
    /// Sessions opened in a second from one IP address.
    pub max_connection_rate_per_address: Option<u64>,
    /// Peer lookups in a second from one IP address.
    pub max_lookup_rate_per_address: Option<u64>,
    /// Hellos forwarded to one client in a second.
    pub max_forward_rate: Option<u64>,
    /// Units of work that one session may cause in a second, each some 0.1 us of a core's time.
    pub max_session_work: Option<u64>,
}

/// Where the server looks up peers of other servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// The library that keeps it; `None` is in memory, for this server only.
    pub plugin: Option<PathBuf>,
    /// The settings that the library receives.
    pub config: XmlSettings,
    /// The timeout of a request to it.
    pub lookup_timeout: Duration,
}

impl Server {
    pub(super) fn read(view: &View<'_, keys::ServerXml>, root: &Path) -> Self {
        let networking_ipv6 = view.read(&keys::NETWORKING_IPV6);
        let public_ip: Option<PublicHost> = view.read(&keys::PUBLIC_IP);
        let loopback = public_ip.iter().flat_map(PublicHost::addresses).find(|address| address.is_loopback());
        if let Some(loopback) = loopback {
            view.warning(&keys::PUBLIC_IP, |path| {
                format!("{path}: {loopback} leads every other machine to itself; leave it empty where the server has no NAT before it")
            });
        }
        Self {
            networking_ipv6,
            public_ip,
            workers: view.read(&keys::WORKERS),
            busy_poll: Duration::from_micros(view.read(&keys::BUSY_POLL) as u64),
            script_threads: view.read(&keys::SCRIPT_THREADS),
            keying_threads: view.read(&keys::KEYING_THREADS),
            admin: AdminServer::read(view, networking_ipv6),
            login_limits: LoginLimits::read(view),
            idle_clients: IdleClients {
                enable: view.read(&keys::CLOSE_IDLE_CLIENTS),
                max_idle_time: view.read(&keys::MAX_IDLE_TIME),
            },
            idle_check_interval: view.read(&keys::IDLE_CHECK_INTERVAL),
            limits: ServerLimits::read(view),
            max_script_memory: view.read(&keys::MAX_SCRIPT_MEMORY).map(|megabytes| megabytes << 20),
            max_http_requests: view.read(&keys::MAX_HTTP_REQUESTS),
            registry: Registry {
                plugin: view.read(&keys::REGISTRY_PLUGIN).map(|path| plugin_path(root, &path)),
                config: XmlSettings::read(view, &keys::REGISTRY_CONFIG),
                lookup_timeout: view.read(&keys::LOOKUP_TIMEOUT),
            },
        }
    }
}

impl AdminServer {
    fn read(view: &View<'_, keys::ServerXml>, networking_ipv6: bool) -> Self {
        let ports = PortSet { local: view.read(&keys::ADMIN_HOST_PORT), public: None };
        if let Some(tls) = ports.local.tls_ports() {
            view.warning(&keys::ADMIN_HOST_PORT, |path| {
                format!("{path}: the administration does not listen at {tls}: a minus sign stands for TLS, which it does not have")
            });
        }
        let (allow, deny) = (view.read(&keys::ADMIN_ALLOW), view.read(&keys::ADMIN_DENY));
        Self {
            enable: view.read(&keys::ADMIN_ENABLE),
            listen: Listen::all(&ports, networking_ipv6),
            access: Access::new(allow, deny, view.read(&keys::ADMIN_ORDER)),
        }
    }
}

impl LoginLimits {
    fn read(view: &View<'_, keys::ServerXml>) -> Self {
        let recovery_time = view.read(&keys::RECOVERY_TIME);
        let lockout_limit = view.read(&keys::LOCKOUT_LIMIT);
        if lockout_limit < recovery_time {
            view.problem(&keys::LOCKOUT_LIMIT, |path| format!("{path} is shorter than RecoveryTime"));
        }
        let max_failures = view.read(&keys::MAX_FAILURES).filter(|failures| *failures > 0);
        Self { max_failures, recovery_time, lockout_limit }
    }
}

impl ServerLimits {
    fn read(view: &View<'_, keys::ServerXml>) -> Self {
        let max_pending_handshakes = view.read(&keys::MAX_PENDING_HANDSHAKES);
        Self {
            max_sessions: view.read(&keys::MAX_SESSIONS),
            max_sessions_per_address: view.read(&keys::MAX_SESSIONS_PER_ADDRESS),
            max_buffered: view.read(&keys::MAX_BUFFERED_MEMORY).map(|megabytes| megabytes << 20),
            max_pending_handshakes: u64::try_from(max_pending_handshakes).unwrap_or(u64::MAX),
            max_connection_rate: view.read(&keys::MAX_CONNECTION_RATE),
            max_connection_rate_per_address: view.read(&keys::MAX_CONNECTION_RATE_PER_ADDRESS),
            max_lookup_rate_per_address: view.read(&keys::MAX_LOOKUP_RATE_PER_ADDRESS),
            max_forward_rate: view.read(&keys::MAX_FORWARD_RATE),
            max_session_work: view.read(&keys::MAX_SESSION_WORK),
        }
    }
}
