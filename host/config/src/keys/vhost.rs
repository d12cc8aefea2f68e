//! The keys of Vhost.xml.

use std::sync::LazyLock;

use super::common::{
    ALLOW as ALLOW_MEANING, DENY as DENY_MEANING, MAX_CLIENTS, ORDER as ORDER_MEANING, close_idle_clients,
    max_idle_time, order,
};
use crate::choices::Order;
use crate::key::{self, File, Repeated, Scope, keys};
use crate::naming::{ApplicationName, HostName};
use crate::numbers::{Limit, TimeOrNone, limit};
use crate::rule::Hosts;
use crate::schema::{Missed, Schema};
use crate::texts::{FilePaths, paths};
use crate::words::{Words, words};

pub(crate) struct VhostXml;

impl Scope for VhostXml {}

impl File for VhostXml {
    fn schema() -> &'static Schema {
        &SCHEMA
    }
}

/// An element with another name of the virtual host.
pub(crate) struct AliasElement;

impl Scope for AliasElement {
    const PATH: &'static str = "AliasList/Alias*";
}

impl Repeated for AliasElement {
    type Parent = VhostXml;
}

type Key<X> = key::Key<VhostXml, X>;
type AliasKey<X> = key::Key<AliasElement, X>;

pub(crate) static SCHEMA: Schema = Schema {
    file: "Vhost.xml",
    root: "VirtualHost",
    entries: LazyLock::new(entries),
    unsupported: &[
        "ResourceLimits/MaxEdgeConnections",
        "ResourceLimits/MaxStreams",
        "ResourceLimits/MaxSharedObjects",
        "ResourceLimits/AppInstanceGC",
        "RecordAccessLog",
        "RecordAppLog",
        "VirtualKeys",
        "VirtualDirectory",
        "DNSSuffix",
        "Proxy",
        "SSL",
        "Logging",
    ],
    missed: &[Missed {
        path: "Proxy/Mode",
        idle: &["local"],
        means: "clients are served here, and no other server is asked",
    }],
    renamed: &[],
    everywhere: None,
    holds_passwords: false,
};

/// It need not be there: applications need no folder.
pub(crate) const DEFAULT_APPS_DIR: &str = "lua";

keys! {
    ALIAS: AliasKey<HostName> = AliasKey::ams("", HostName, "Another name of the virtual host");
    ALIAS_NAME: AliasKey<HostName> = AliasKey::ams("@name", HostName, "Another one, usually a short one");
    APPS_DIR: Key<FilePaths> = Key::ams(
        "AppsDir",
        paths(DEFAULT_APPS_DIR),
        "The folder that holds a folder for each application, or several; of two applications of one name that in the first folder counts. While one of them does not exist, the virtual host serves no application without a folder",
    );
    MAX_CONNECTIONS: Key<Limit> =
        Key::ams("ResourceLimits/MaxConnections", limit(MAX_CLIENTS, None), "Clients at a time");
    MAX_APP_INSTANCES: Key<Limit> = Key::ams(
        "ResourceLimits/MaxAppInstances",
        limit(MAX_CLIENTS, Some(15_000)),
        "Instances of applications at a time. At the limit a new instance takes the place of the one that has been without clients for longest; if all have clients, the client that asked for the new one is refused",
    );
    MAX_APP_INSTANCES_PER_ADDRESS: Key<Limit> = Key::ours(
        "ResourceLimits/MaxAppInstancesPerAddress",
        limit(MAX_CLIENTS, Some(512)),
        "Instances of applications with a script at a time that clients of one IP address have made; an IPv6 network of 64 bits counts as one address. At the limit a new instance takes the place of the one of them that has been without clients for longest; if all have clients, the client that asked for the new one is refused. The default takes some 51 MB at 100 kB each; a school behind one NAT never makes so many rooms at a time",
    );
    CLOSE_IDLE_CLIENTS: Key<Words<Option<bool>>> = Key::ams(
        "AutoCloseIdleClients@enable",
        close_idle_clients(),
        "Whether idle clients are disconnected. `inherit`: as Server.xml says",
    );
    MAX_IDLE_TIME: Key<TimeOrNone> = Key::ams(
        "AutoCloseIdleClients/MaxIdleTime",
        max_idle_time(),
        "How long a client may be idle, in seconds. 0 or less: as Server.xml says",
    );
    ALLOW: Key<Hosts> = Key::ams("Allow", Hosts, ALLOW_MEANING);
    DENY: Key<Hosts> = Key::ours("Deny", Hosts, DENY_MEANING);
    VHOST_ORDER: Key<Words<Order>> = Key::ours("Order", order(), ORDER_MEANING);
    DEFAULT_APPLICATION: Key<ApplicationName> = Key::ours(
        "DefaultApplication",
        ApplicationName("default"),
        "The application whose policy decides a lookup if neither the peer that asks nor the peer that it looks up is connected. If it has no folder, the settings and plugins of `_default_` decide, as for any application without one",
    )
    .of_default_only("a lookup by a peer that is no client names no virtual host: that of `_defaultVHost_` answers");
    UNREGISTERED_APPLICATIONS: Key<Words<bool>> = Key::ours(
        "UnregisteredApplications",
        words(&[("accept", true), ("reject", false)], "accept"),
        "What happens to a client that connects to an application without a folder: `accept` serves it, whatever its path is; `reject` refuses the client. If there is a folder `_default_` in `AppsDir`, its script and its Application.xml serve all such applications, each under its own name and with instances of its own, which share a thread for scripts as those of one application do; no client can connect to `_default_` by that name. Without that folder they have no script. While a folder that `AppsDir` names does not exist, such clients are refused, whatever this says",
    );
}
