//! Application.xml: how applications behave.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::choices::{
    ConnectDefault, Fallback, GroupScope, JoinLeaveMode, LookupMode, LookupsFrom, OtherScripts, RelayCallScope,
    RelayMode,
};
use super::http_settings::HttpSettings;
use super::idle::IdleClients;
use super::keys::application as keys;
use super::plugin::Plugin;
use super::settings::XmlSettings;
use super::view::View;

/// How an application behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Whether its first instance starts with the server.
    pub load_on_startup: bool,
    /// How long an instance without clients lives on.
    pub max_idle_time: Duration,
    /// What happens to idle clients.
    pub idle_clients: IdleClients,
    /// Its script.
    pub script: Script,
    /// What answers peer lookups.
    pub peer_lookup_events: LookupMode,
    /// Which peers may look up its clients.
    pub lookups_from: LookupsFrom,
    /// What handles clients that join and leave groups.
    pub join_leave_events: JoinLeaveMode,
    /// Which clients meet in a group, where the server introduces members to each other.
    pub group_scope: GroupScope,
    /// Peer lookups in a second by one client; `None` is without limit.
    pub max_lookup_rate: Option<u64>,
    /// Which other clients its clients may call by `relay`.
    pub relay_calls: RelayCallScope,
    /// Calls of `relay` in a second by one client; `None` is without limit.
    pub max_relay_call_rate: Option<u64>,
    /// When the server relays the datagrams of its clients.
    pub relay_mode: RelayMode,
    /// The limits of each pair of clients that is relayed.
    pub relay_limits: RelayLimits,
    /// Native plugins, in the order in which they decide.
    pub plugins: Vec<Plugin>,
    /// The deadline of decisions, and what happens when a script or a plugin misses it or fails.
    pub policy: Policy,
}

/// The limits and the surroundings of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The most memory of an instance, in bytes.
    pub memory: usize,
    /// The longest time that one handler may run; `None` is any.
    pub time: Option<Duration>,
    /// Where `load` and `require` look, behind the folder of the application.
    pub library: Vec<PathBuf>,
    /// What happens if the script is one that the server cannot run.
    pub others: OtherScripts,
    /// What a client gets whose `onConnect` has returned nothing.
    pub connect_default: ConnectDefault,
    /// Whether the server loads it again when a file of its folder has changed.
    pub watch: bool,
    /// The limits of its NetConnections.
    pub net_connections: NetConnectionLimits,
    /// Its HTTP requests.
    pub http: HttpSettings,
    /// The limits on the files that it reads.
    pub files: FileLimits,
    /// What the script finds as `application.config`.
    pub config: XmlSettings,
}

/// The limits of the NetConnections of one instance's script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetConnectionLimits {
    /// The most NetConnections.
    pub max_connections: usize,
    /// The most NetGroups of one NetConnection.
    pub max_groups: usize,
    /// The most bytes that may wait on one NetConnection to be sent.
    pub max_queued_bytes: usize,
}

/// The limits on the files that one instance's script reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimits {
    /// The most bytes of a file.
    pub max_size: usize,
    /// The most files that are watched for changes at a time.
    pub max_watches: usize,
}

/// The deadline of decisions, and what happens when a script or a plugin misses it or fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long a decision may take.
    pub deadline: Duration,
    /// What happens when a decision is late.
    pub on_deadline: Fallback,
    /// What happens when a script or plugin fails to decide.
    pub on_failure: Fallback,
}

/// The limits of one pair of clients whose datagrams the server relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayLimits {
    /// The maximum rate of both directions together, in bytes of UDP payload a second.
    pub bytes_per_second: u64,
    /// How long the pair is relayed at most.
    pub lifetime: Duration,
}

impl Default for RelayLimits {
    /// As Application.xml has them by default.
    fn default() -> Self {
        Self { bytes_per_second: 1_000_000, lifetime: Duration::from_secs(86_400) }
    }
}

impl Default for NetConnectionLimits {
    /// As Application.xml has them by default.
    fn default() -> Self {
        Self { max_connections: 4, max_groups: 16, max_queued_bytes: 1 << 20 }
    }
}

impl Default for FileLimits {
    /// As Application.xml has them by default.
    fn default() -> Self {
        Self { max_size: 1 << 20, max_watches: 16 }
    }
}

impl Application {
    pub(super) fn read(view: &View<'_, keys::ApplicationXml>, root: &Path, above: IdleClients) -> Self {
        let plugins = view.each::<keys::PluginElement>();
        Self {
            load_on_startup: view.read(&keys::LOAD_ON_STARTUP),
            max_idle_time: view.read(&keys::MAX_APP_IDLE_TIME),
            idle_clients: above.refined(view.read(&keys::CLOSE_IDLE_CLIENTS), view.read(&keys::MAX_IDLE_TIME)),
            script: Script::read(view, root),
            peer_lookup_events: view.read(&keys::PEER_LOOKUP_EVENTS),
            lookups_from: view.read(&keys::LOOKUPS_FROM),
            join_leave_events: view.read(&keys::JOIN_LEAVE_EVENTS),
            group_scope: view.read(&keys::GROUP_SCOPE),
            max_lookup_rate: view.read(&keys::MAX_LOOKUP_RATE),
            relay_calls: view.read(&keys::RELAY_CALLS),
            max_relay_call_rate: view.read(&keys::MAX_RELAY_CALL_RATE),
            relay_mode: view.read(&keys::RELAY_MODE),
            relay_limits: RelayLimits {
                bytes_per_second: view.read(&keys::RELAY_MAX_BYTES) as u64,
                lifetime: view.read(&keys::RELAY_MAX_LIFETIME),
            },
            plugins: plugins.iter().filter_map(|view| Plugin::read(view, root)).collect(),
            policy: Policy {
                deadline: view.read(&keys::DEADLINE),
                on_deadline: view.read(&keys::ON_DEADLINE),
                on_failure: view.read(&keys::ON_FAILURE),
            },
        }
    }

    /// The same for an application that rejects everything: it answers no lookup and loads nothing.
    pub(super) fn to_closed(&self) -> Self {
        let peer_lookup_events = LookupMode::Denied;
        Self { load_on_startup: false, plugins: Vec::new(), peer_lookup_events, ..self.clone() }
    }
}

/// The least memory of a script, in kilobytes. Adobe's servers come with 1024, which is no limit there.
const MIN_RUNTIME_SIZE: usize = 8192;

fn read_runtime_size(view: &View<'_, keys::ApplicationXml>) -> usize {
    let size = view.read(&keys::RUNTIME_SIZE);
    if size < MIN_RUNTIME_SIZE {
        view.warning(&keys::RUNTIME_SIZE, |path| {
            format!(
                "{path}: {size} kB count as {MIN_RUNTIME_SIZE}: here the number is a limit, while Adobe's servers take it for the size at which memory is reclaimed"
            )
        });
    }
    size.max(MIN_RUNTIME_SIZE)
}

impl Application {
    /// Whether it rejects clients and lookups because the server cannot run its script.
    pub(super) fn is_closed_without_script(&self) -> bool {
        let is_left_to_script =
            self.peer_lookup_events != LookupMode::None || self.join_leave_events != JoinLeaveMode::None;
        match self.script.others {
            OtherScripts::Auto => is_left_to_script && self.plugins.is_empty(),
            OtherScripts::Open => false,
            OtherScripts::Closed => true,
        }
    }
}

impl Script {
    fn read(view: &View<'_, keys::ApplicationXml>, root: &Path) -> Self {
        Self {
            memory: read_runtime_size(view).saturating_mul(1024),
            time: view.read(&keys::MAX_TIME_OUT),
            library: view.read(&keys::SCRIPT_LIB_PATH).iter().map(|path| root.join(path)).collect(),
            others: view.read(&keys::OTHER_SCRIPTS),
            connect_default: view.read(&keys::CONNECT_DEFAULT),
            watch: view.read(&keys::WATCH),
            net_connections: NetConnectionLimits {
                max_connections: view.read(&keys::MAX_NET_CONNECTIONS),
                max_groups: view.read(&keys::MAX_NET_GROUPS),
                max_queued_bytes: view.read(&keys::MAX_QUEUED_BYTES),
            },
            http: HttpSettings::read(view, root),
            files: FileLimits { max_size: view.read(&keys::MAX_FILE_SIZE), max_watches: view.read(&keys::MAX_WATCHES) },
            config: XmlSettings::read(view, &keys::CONFIG),
        }
    }
}
