//! Application.xml: how applications behave.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::duration::Unit;
use super::idle::{self, IdleClients};
use super::schema::{Entry, Kind, Schema, ams, ours};
use super::settings::Settings;
use super::view::View;

/// How an application behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Whether its first instance is there before its first client.
    pub load_on_startup: bool,
    /// How long an instance without clients lives on.
    pub max_idle_time: Duration,
    /// What happens to clients that do nothing.
    pub idle_clients: IdleClients,
    /// Its script.
    pub script: Script,
    /// Who answers peer lookups.
    pub peer_lookup_events: LookupMode,
    /// Who may look for its clients.
    pub lookups_from: LookupsFrom,
    /// Who handles clients that join and leave groups.
    pub join_leave_events: JoinLeaveMode,
    /// Peer lookups in a second by one client; `None` is without limit.
    pub max_lookup_rate: Option<u64>,
    /// Native plugins, in the order in which they are asked.
    pub plugins: Vec<Plugin>,
    /// What happens when a script or a plugin fails to decide.
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
    /// Whether it is loaded anew when a file of its folder has changed.
    pub watch: bool,
    /// What the script finds as `application.config`.
    pub config: Settings,
}

/// Who may look for the clients of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupsFrom {
    /// Any peer, also one that is connected to another server, or to none.
    Anyone,
    /// Clients of this server.
    Clients,
}

/// Who answers peer lookups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupMode {
    /// The server.
    None,
    /// The server for clients of the instance that look for peers connected to the server, the script for others.
    Partial,
    /// The script.
    All,
    /// Nobody: every lookup is denied, and counted. So it is for an application that turns clients away; no file can say it.
    Denied,
}

/// Who handles clients that join and leave groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinLeaveMode {
    /// The server.
    None,
    /// The script.
    All,
}

/// A native plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// The library.
    pub path: PathBuf,
    /// What it is told.
    pub config: Settings,
}

/// What happens when a script or a plugin fails to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long a decision may take.
    pub deadline: Duration,
    /// What comes instead of a decision that takes longer.
    pub on_deadline: Fallback,
    /// What comes instead of the decision of a script or plugin that fails.
    pub on_failure: Fallback,
}

/// What comes instead of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// No, counted.
    Deny,
    /// Silence.
    Ignore,
    /// Whoever is next in line decides.
    Continue,
}

pub(super) static SCHEMA: Schema = Schema {
    file: "Application.xml",
    root: "Application",
    entries: ENTRIES,
    unsupported: &[
        "Process",
        "ScriptEngine/AdaptorId",
        "ScriptEngine/MaxGCSkipCount",
        "ScriptEngine/FileObject",
        "ScriptEngine/XMLSocket",
        "ScriptEngine/NetConnection",
        "ScriptEngine/Security",
        "StreamManager",
        "SharedObjManager",
        "AllowHTTPTunnel",
        "Client",
        "Debug",
        "HTTP",
        "SWFVerification",
        "Logging",
        "DisallowedProtocols",
    ],
    renamed: &[("JSEngine", "ScriptEngine")],
    everywhere: &[("override", &["yes", "no"])],
};

const FALLBACK: Kind = Kind::Word(&["deny", "ignore", "continue"]);

const ENTRIES: &[Entry] = &[
    ams("LoadOnStartup", Kind::Flag, "false", "Whether the first instance is there before the first client"),
    ams(
        "MaxAppIdleTime",
        Kind::Time { unit: Unit::Seconds, least: 0, most: 30 * 86_400 },
        "1200",
        "How long an instance without clients lives on, in seconds",
    ),
    ams(
        "AutoCloseIdleClients@enable",
        idle::ENABLE,
        "inherit",
        "Whether clients that do nothing are disconnected. `inherit`: as Vhost.xml says",
    ),
    ams(
        "AutoCloseIdleClients/MaxIdleTime",
        idle::MAX_IDLE_TIME,
        "0",
        "How long a client may do nothing, in seconds. 0: as Vhost.xml says",
    ),
    ams(
        "ScriptEngine/RuntimeSize",
        Kind::Whole { least: 256, most: 16 << 20 },
        "65536",
        "The most memory that the script of one instance may use, in kilobytes",
    ),
    ams(
        "ScriptEngine/MaxTimeOut",
        Kind::Time { unit: Unit::Seconds, least: 0, most: 3600 },
        "1",
        "The longest time that one handler may run, in seconds; a fraction may be given. 0: no limit of its own; a script that runs for four seconds is taken for one that hangs all the same, and closed",
    ),
    ams(
        "ScriptEngine/ScriptLibPath",
        Kind::Paths,
        "lua/library",
        "Folders where `load` and `require` look, behind that of the application",
    ),
    ours(
        "ScriptEngine/Watch",
        Kind::Flag,
        "false",
        "Whether a script is loaded anew when a file `*.lua` in its folder has changed; else SIGHUP does that",
    ),
    ams("ScriptEngine/ApplicationObject/config", Kind::Tree, "", "What the script finds as `application.config`"),
    ams(
        "RTMFP/PeerLookupEvents@mode",
        Kind::Word(&["None", "Partial", "All"]),
        "None",
        "Who answers peer lookups: the server; the server where a client looks for a peer connected to the server, and the script for others; the script",
    ),
    ours(
        "RTMFP/Lookups@from",
        Kind::Word(&["anyone", "clients"]),
        "anyone",
        "Who may look for this application's clients: `anyone`, which peers of other servers need that are sent here to be introduced; `clients` of this server, whatever their application is",
    ),
    ams(
        "RTMFP/GroupControl/JoinLeaveEvents@mode",
        Kind::Word(&["None", "All"]),
        "None",
        "Who handles clients that join and leave groups: the server, which introduces members to each other; the script",
    ),
    ours("RTMFP/MaxLookupRate", Kind::Limit { most: 10_000_000 }, "-1", "Peer lookups in a second by one client"),
    ours(
        "Plugins/Plugin*@path",
        Kind::Path,
        "",
        "A native plugin; plugins are asked in this order, before the script. Without a folder: in `plugins`",
    ),
    ours("Plugins/Plugin*/Config", Kind::Tree, "", "What the plugin is told"),
    ours(
        "Policy/Deadline",
        Kind::Time { unit: Unit::Milliseconds, least: 1, most: 600_000 },
        "2000",
        "How long a decision of the script or of a plugin may take, in milliseconds",
    ),
    ours(
        "Policy/OnDeadline",
        FALLBACK,
        "ignore",
        "What comes instead of a decision that takes longer: a counted no, silence, or the decision of whoever is next",
    ),
    ours("Policy/OnFailure", FALLBACK, "deny", "What comes instead of the decision of a script or plugin that fails"),
];

impl Application {
    pub(super) fn read(view: &View<'_>, root: &Path, above: IdleClients) -> Self {
        let fallbacks = [("deny", Fallback::Deny), ("ignore", Fallback::Ignore), ("continue", Fallback::Continue)];
        let lookup_modes = [("None", LookupMode::None), ("Partial", LookupMode::Partial), ("All", LookupMode::All)];
        let join_modes = [("None", JoinLeaveMode::None), ("All", JoinLeaveMode::All)];
        let kilobytes = usize::try_from(view.whole("ScriptEngine/RuntimeSize")).unwrap_or(usize::MAX);
        Self {
            load_on_startup: view.flag("LoadOnStartup"),
            max_idle_time: view.time("MaxAppIdleTime"),
            idle_clients: above.refined(view),
            script: Script {
                memory: kilobytes.saturating_mul(1024),
                time: view.time_or_none("ScriptEngine/MaxTimeOut"),
                library: view.paths("ScriptEngine/ScriptLibPath").iter().map(|path| root.join(path)).collect(),
                watch: view.flag("ScriptEngine/Watch"),
                config: Settings::read(view, "ScriptEngine/ApplicationObject/config"),
            },
            peer_lookup_events: view.word("RTMFP/PeerLookupEvents@mode", &lookup_modes),
            lookups_from: view
                .word("RTMFP/Lookups@from", &[("anyone", LookupsFrom::Anyone), ("clients", LookupsFrom::Clients)]),
            join_leave_events: view.word("RTMFP/GroupControl/JoinLeaveEvents@mode", &join_modes),
            max_lookup_rate: view.limit("RTMFP/MaxLookupRate"),
            plugins: view.each("Plugins/Plugin*").iter().filter_map(|view| Plugin::read(view, root)).collect(),
            policy: Policy {
                deadline: view.time("Policy/Deadline"),
                on_deadline: view.word("Policy/OnDeadline", &fallbacks),
                on_failure: view.word("Policy/OnFailure", &fallbacks),
            },
        }
    }
}

impl Application {
    /// The same, for an application that turns everybody away: no lookup is answered, nothing is loaded.
    pub(super) fn to_closed(&self) -> Self {
        let peer_lookup_events = LookupMode::Denied;
        Self { load_on_startup: false, plugins: Vec::new(), peer_lookup_events, ..self.clone() }
    }
}

impl Plugin {
    fn read(view: &View<'_>, root: &Path) -> Option<Self> {
        let path = view.path("@path");
        if path.is_none() {
            view.incomplete("@path");
        }
        Some(Self { path: plugin_path(root, &path?), config: Settings::read(view, "Config") })
    }
}

/// A library's place: one without a folder is in that of the plugins, and a relative one counts from `root`.
pub(super) fn plugin_path(root: &Path, path: &Path) -> PathBuf {
    let has_folder = path.parent().is_some_and(|folder| !folder.as_os_str().is_empty());
    if has_folder { root.join(path) } else { root.join("plugins").join(path) }
}
