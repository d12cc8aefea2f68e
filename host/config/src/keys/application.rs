//! The keys of Application.xml.

use std::sync::LazyLock;

use super::common::{DAY, MAX_RATE, close_idle_clients, max_idle_time};
use crate::choices::{
    ConnectDefault, Fallback, GroupScope, JoinLeaveMode, LookupMode, LookupsFrom, OtherScripts, RelayCallScope,
    RelayMode,
};
use crate::http_hosts::HttpHostList;
use crate::key::{self, File, Repeated, Scope, keys};
use crate::numbers::{
    Limit, Time, TimeOrDefault, TimeOrNone, Whole, limit, milliseconds, seconds, seconds_or_default, seconds_or_none,
    whole,
};
use crate::overlay::OVERRIDE;
use crate::schema::{Missed, Schema};
use crate::texts::{FilePath, FilePaths, Tree, path, paths};
use crate::words::{Flag, Words, flag, words};

pub(crate) struct ApplicationXml;

impl Scope for ApplicationXml {}

impl File for ApplicationXml {
    fn schema() -> &'static Schema {
        &SCHEMA
    }
}

/// An element with a native plugin.
pub(crate) struct PluginElement;

impl Scope for PluginElement {
    const PATH: &'static str = "Plugins/Plugin*";
}

impl Repeated for PluginElement {
    type Parent = ApplicationXml;
}

type Key<X> = key::Key<ApplicationXml, X>;
type PluginKey<X> = key::Key<PluginElement, X>;

pub(crate) static SCHEMA: Schema = Schema {
    file: "Application.xml",
    root: "Application",
    entries: LazyLock::new(entries),
    unsupported: &[
        "Process",
        "ScriptEngine/AdaptorId",
        "ScriptEngine/MaxGCSkipCount",
        "ScriptEngine/FileObject",
        "ScriptEngine/XMLSocket",
        "ScriptEngine/NetConnection/ObjectEncoding",
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
        "HDS",
        "ProtectedRTMP",
        "RecordAccessLog",
        "RecordAppLog",
    ],
    missed: &[
        Missed {
            path: "SWFVerification@enabled",
            idle: &["false"],
            means: "clients are not asked for the hash of their SWF file, and each is let in as far as that goes",
        },
        Missed {
            path: "DisallowedProtocols",
            idle: &["rtmp", "rtmpe", "rtmpt", "rtmpte", "rtmps"],
            means: "this server speaks RTMFP alone; to keep clients out, use Allow and Deny in Adaptor.xml or Vhost.xml",
        },
    ],
    renamed: &[("JSEngine", "ScriptEngine")],
    everywhere: Some(&OVERRIDE),
    holds_passwords: false,
};

const fn fallback(default: &str) -> Words<Fallback> {
    words(&[("deny", Fallback::Deny), ("ignore", Fallback::Ignore), ("continue", Fallback::Continue)], default)
}

keys! {
    LOAD_ON_STARTUP: Key<Flag> = Key::ams(
        "LoadOnStartup",
        flag(false),
        "Whether the first instance starts with the server, before the first client connects",
    );
    MAX_APP_IDLE_TIME: Key<TimeOrDefault> = Key::ams(
        "MaxAppIdleTime",
        seconds_or_default(30 * DAY, 1200),
        "How long an instance without clients lives on, in seconds; a fraction may be given. 0 or less: the default",
    );
    CLOSE_IDLE_CLIENTS: Key<Words<Option<bool>>> = Key::ams(
        "AutoCloseIdleClients@enable",
        close_idle_clients(),
        "Whether idle clients are disconnected. `inherit`: as Vhost.xml says",
    );
    MAX_IDLE_TIME: Key<TimeOrNone> = Key::ams(
        "AutoCloseIdleClients/MaxIdleTime",
        max_idle_time(),
        "How long a client may be idle, in seconds. 0 or less: as Vhost.xml says",
    );
    RUNTIME_SIZE: Key<Whole> = Key::ams(
        "ScriptEngine/RuntimeSize",
        whole(0..=16 << 20, 65_536),
        "The most memory that the script of one instance may use, in kilobytes. Less than 8192 counts as 8192: in the files of Adobe's servers a small number is no limit, but says when memory is reclaimed",
    );
    MAX_TIME_OUT: Key<TimeOrNone> = Key::ams(
        "ScriptEngine/MaxTimeOut",
        seconds_or_none(3600, 1),
        "The longest time that one handler may run, in seconds; a fraction may be given. 0: no limit here; even so the server takes a script that runs for four seconds for one that hangs, and closes it",
    );
    SCRIPT_LIB_PATH: Key<FilePaths> = Key::ams(
        "ScriptEngine/ScriptLibPath",
        paths("lua/library"),
        "Folders where `load` and `require` look, after that of the application",
    );
    OTHER_SCRIPTS: Key<Words<OtherScripts>> = Key::ours(
        "ScriptEngine/OtherScripts",
        words(
            &[("auto", OtherScripts::Auto), ("open", OtherScripts::Open), ("closed", OtherScripts::Closed)],
            "auto",
        ),
        "What happens to an application whose script the server cannot run (`main.asc`, `main.far`): `open` runs it without the script; `closed` rejects its clients and lookups of them; `auto` closes it if `PeerLookupEvents` or `JoinLeaveEvents` leave decisions to the script and no plugin decides either",
    );
    CONNECT_DEFAULT: Key<Words<ConnectDefault>> = Key::ours(
        "ScriptEngine/ConnectDefault",
        words(&[("accept", ConnectDefault::Accept), ("pending", ConnectDefault::Pending)], "accept"),
        "What a client gets whose `onConnect` returns nothing: `accept`, it is accepted; `pending`, it waits until the script calls `acceptConnection` or `rejectConnection`, as on Adobe's servers",
    );
    WATCH: Key<Flag> = Key::ours(
        "ScriptEngine/Watch",
        flag(false),
        "Whether the server loads a script again when a file `*.lua` in its folder has changed; otherwise SIGHUP does that",
    );
    MAX_NET_CONNECTIONS: Key<Whole> = Key::ours(
        "ScriptEngine/NetConnection/MaxNetConnections",
        whole(0..=256, 4),
        "The most NetConnections that the script of one instance may have at a time. Each has sockets of its own. 0: none",
    );
    MAX_NET_GROUPS: Key<Whole> = Key::ours(
        "ScriptEngine/NetConnection/MaxNetGroups",
        whole(0..=64, 16),
        "The most NetGroups that one NetConnection may be in at a time",
    );
    MAX_QUEUED_BYTES: Key<Whole> = Key::ours(
        "ScriptEngine/NetConnection/MaxQueuedBytes",
        whole(65_536..=256 << 20, 1 << 20),
        "The most bytes of calls, postings and messages that may wait on one NetConnection to be sent",
    );
    HTTP_ALLOW: Key<HttpHostList> = Key::ours(
        "ScriptEngine/HTTP/Allow",
        HttpHostList,
        "The hosts that the script may send HTTP requests to. Empty: none. A host without a port may be asked at any. A name whose address is not a public one (loopback, a private network and the like) is refused unless the address is listed too",
    );
    HTTP_CA_FILE: Key<FilePath> = Key::ours(
        "ScriptEngine/HTTP/CAFile",
        path(""),
        "A file in PEM with certificates of authorities that are trusted for `https`, besides those that this machine trusts",
    );
    HTTP_TIMEOUT: Key<Time> = Key::ours(
        "ScriptEngine/HTTP/Timeout",
        milliseconds(1..=600_000, 10_000),
        "How long an HTTP request may take in all, in milliseconds: waiting for its turn, redirects and the whole answer included. A script may ask for less time",
    );
    HTTP_MAX_RESPONSE: Key<Whole> = Key::ours(
        "ScriptEngine/HTTP/MaxResponseBytes",
        whole(0..=64 << 20, 1 << 20),
        "The most bytes that the body of an answer may have",
    );
    HTTP_MAX_REQUEST: Key<Whole> = Key::ours(
        "ScriptEngine/HTTP/MaxRequestBytes",
        whole(0..=64 << 20, 1 << 20),
        "The most bytes that the URL, the headers and the body of a request may have together",
    );
    HTTP_MAX_HEADER: Key<Whole> = Key::ours(
        "ScriptEngine/HTTP/MaxHeaderBytes",
        whole(8192..=1 << 20, 32_768),
        "The most bytes that the status line and the headers of an answer may have",
    );
    HTTP_MAX_REDIRECTS: Key<Whole> = Key::ours(
        "ScriptEngine/HTTP/MaxRedirects",
        whole(0..=20, 5),
        "How many redirects of one request are followed, each to a host of `Allow` only. 0: none, and the script receives the redirect as the answer",
    );
    HTTP_MAX_REQUESTS: Key<Whole> = Key::ours(
        "ScriptEngine/HTTP/MaxRequests",
        whole(1..=256, 16),
        "How many HTTP requests of one instance may be under way at a time; further ones wait for their turn",
    );
    HTTP_MAX_QUEUED: Key<Whole> = Key::ours(
        "ScriptEngine/HTTP/MaxQueuedRequests",
        whole(0..=16_384, 1024),
        "How many HTTP requests of one instance may wait for their turn; one beyond that fails at once",
    );
    MAX_FILE_SIZE: Key<Whole> = Key::ours(
        "ScriptEngine/File/MaxFileSize",
        whole(0..=64 << 20, 1 << 20),
        "The most bytes of a file that the script may read. It reads files of its application's folder only",
    );
    MAX_WATCHES: Key<Whole> = Key::ours(
        "ScriptEngine/File/MaxWatches",
        whole(0..=256, 16),
        "How many files the script of one instance may watch for changes at a time",
    );
    CONFIG: Key<Tree> = Key::ams(
        "ScriptEngine/ApplicationObject/config",
        Tree,
        "What the script finds as `application.config`",
    );
    PEER_LOOKUP_EVENTS: Key<Words<LookupMode>> = Key::ams(
        "RTMFP/PeerLookupEvents@mode",
        words(&[("None", LookupMode::None), ("Partial", LookupMode::Partial), ("All", LookupMode::All)], "None"),
        "What answers peer lookups: `None`, the server; `Partial`, the server where a client looks up a peer that is connected to the server, and the script otherwise; `All`, the script",
    );
    LOOKUPS_FROM: Key<Words<LookupsFrom>> = Key::ours(
        "RTMFP/Lookups@from",
        words(&[("anyone", LookupsFrom::Anyone), ("clients", LookupsFrom::Clients)], "anyone"),
        "Which peers may look up this application's clients: `anyone`, which peers of other servers need that are sent here to be introduced; `clients` of this server, whatever their application is",
    );
    JOIN_LEAVE_EVENTS: Key<Words<JoinLeaveMode>> = Key::ams(
        "RTMFP/GroupControl/JoinLeaveEvents@mode",
        words(&[("None", JoinLeaveMode::None), ("All", JoinLeaveMode::All)], "None"),
        "What handles clients that join and leave groups: `None`, the server, which introduces members to each other; `All`, the script",
    );
    GROUP_SCOPE: Key<Words<GroupScope>> = Key::ours(
        "RTMFP/GroupControl/Scope",
        words(
            &[
                ("server", GroupScope::Server),
                ("application", GroupScope::Application),
                ("instance", GroupScope::Instance),
            ],
            "server",
        ),
        "Which clients meet in a group: `server`, all that join it, also at other servers that share the registry; `application`, those of this application; `instance`, those of the same instance. Without effect where a script or a plugin handles groups: these are confined to the instance",
    );
    MAX_LOOKUP_RATE: Key<Limit> =
        Key::ours("RTMFP/MaxLookupRate", limit(MAX_RATE, None), "Peer lookups in a second by one client. Lookups of this application's clients by askers that are no clients of this server count by their IP address; an IPv6 network of 64 bits counts as one address");
    RELAY_CALLS: Key<Words<RelayCallScope>> = Key::ours(
        "RTMFP/RelayCalls@to",
        words(
            &[
                ("auto", RelayCallScope::Auto),
                ("application", RelayCallScope::Application),
                ("instance", RelayCallScope::Instance),
                ("none", RelayCallScope::None),
            ],
            "auto",
        ),
        "Which clients a client may reach by the server, as it could at Adobe's Cirrus: `netConnection.call(\"relay\", responder, peerID, ...)` calls `onRelay(senderID, ...)` of the client with that peer ID. `application`: clients of the same application at this server; `instance`: of the same instance; `none`: no client; `auto`: as `application`, but `none` if a plugin or `PeerLookupEvents` decides which clients meet. Without effect in an application with a script: there `relay` is a method of the script, or does not exist",
    );
    MAX_RELAY_CALL_RATE: Key<Limit> = Key::ours(
        "RTMFP/MaxRelayCallRate",
        limit(MAX_RATE, Some(20)),
        "Calls of `relay` in a second by one client; one client is called by all others together eight times as often. The arguments of a call take 16 kB at most",
    );
    RELAY_MODE: Key<Words<RelayMode>> = Key::ours(
        "RTMFP/Relay@mode",
        words(&[("None", RelayMode::None), ("Fallback", RelayMode::Fallback), ("All", RelayMode::All)], "None"),
        "When the server relays what two peers send each other, because their NATs let nothing through: `None`, never, unless a script or a plugin wants it; `Fallback`, if they have not met directly when the one that looks for the other asks for the third time, some seconds later; `All`, from the first time on, beside the direct addresses. The applications of both peers must permit it. A peer that is no client of this server is relayed to if servers share a registry, because it may be a client of another one: then the setting of the client that it looks for decides. See `RTMFP/Relay` of Adaptor.xml for the ports",
    );
    RELAY_MAX_BYTES: Key<Whole> = Key::ours(
        "RTMFP/Relay/MaxBytesPerSecond",
        whole(1000..=1 << 30, 1_000_000),
        "What one relayed pair may send in a second, in bytes, both directions together; what is beyond it is dropped, as by a slow network. Where two applications are concerned, the smaller number counts",
    );
    RELAY_MAX_LIFETIME: Key<Time> = Key::ours(
        "RTMFP/Relay/MaxLifetime",
        seconds(60..=30 * DAY, DAY),
        "How long one pair is relayed at most, in seconds. Peers that go on have to look for each other again",
    );
    PLUGIN_PATH: PluginKey<FilePath> = PluginKey::ours(
        "@path",
        path(""),
        "A native plugin; plugins decide in this order, before the script. Without a folder: in `plugins`",
    );
    PLUGIN_CONFIG: PluginKey<Tree> = PluginKey::ours("Config", Tree, "The settings that the plugin receives");
    DEADLINE: Key<Time> = Key::ours(
        "Policy/Deadline",
        milliseconds(1..=600_000, 2000),
        "How long a decision of the script or of a plugin may take, in milliseconds",
    );
    ON_DEADLINE: Key<Words<Fallback>> = Key::ours(
        "Policy/OnDeadline",
        fallback("ignore"),
        "What happens when a script or plugin has not decided by its deadline: `deny` denies the request, and counts it if it is a lookup, `ignore` gives no answer, `continue` leaves the decision to the next plugin, the script or the server; see the rules",
    );
    ON_FAILURE: Key<Words<Fallback>> = Key::ours(
        "Policy/OnFailure",
        fallback("deny"),
        "What happens when a script or plugin fails to decide; the words mean the same as in `OnDeadline`",
    );
}
