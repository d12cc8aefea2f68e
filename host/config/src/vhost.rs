//! Vhost.xml: a virtual host and its applications.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::access::Access;
use super::application::Application;
use super::idle::{self, IdleClients};
use super::presence::Presence;
use super::schema::{Entry, Kind, Schema, ams, ours};
use super::server::{ALLOW, ORDER};
use super::view::{View, shown_value};

/// A virtual host: the name that clients connect to, and what they find there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vhost {
    /// The name: that of its folder.
    pub name: String,
    /// Its other names, in small letters.
    pub aliases: Vec<String>,
    /// Where the folders of its applications are.
    pub apps_dir: PathBuf,
    /// The most clients at a time.
    pub max_connections: Option<u64>,
    /// The most instances of applications at a time.
    pub max_app_instances: Option<u64>,
    /// The most instances of applications with a script that clients of one address have made, at a time.
    pub max_app_instances_per_address: Option<u64>,
    /// What happens to clients that do nothing, where no application says otherwise.
    pub idle_clients: IdleClients,
    /// Who may connect.
    pub access: Access,
    /// The application that answers lookups of peers that are not connected, to peers that are not.
    pub default_application: String,
    /// Whether an application without a folder exists all the same.
    pub accepts_unregistered: bool,
    /// The settings of all applications that have no file of their own.
    pub defaults: Arc<Application>,
    /// The applications that have a folder.
    pub applications: BTreeMap<String, Registered>,
}

/// An application with a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The folder.
    pub folder: PathBuf,
    /// Its settings: those of its own Application.xml over those of the virtual host.
    pub settings: Arc<Application>,
    /// Whether there is a script in the folder.
    pub has_script: bool,
    /// Whether there is an Application.xml in the folder.
    pub has_file: bool,
    /// Why it turns clients and lookups away: something in its folder cannot be read, or is wrong.
    pub closed: Option<Arc<str>>,
    /// Whether this is how it was before the configuration was read anew, since what stands there now is of no use.
    pub is_kept: bool,
}

impl Registered {
    /// An application with a folder that is in order.
    pub fn new(folder: PathBuf, settings: Arc<Application>) -> Self {
        Self { folder, settings, has_script: false, has_file: false, closed: None, is_kept: false }
    }

    /// An application that turns clients and lookups away, for that reason.
    pub(super) fn closed(vhost: &Vhost, name: &str, reason: Arc<str>) -> Self {
        let settings = Arc::new(vhost.defaults.to_closed());
        Self { closed: Some(reason), ..Self::new(vhost.apps_dir.join(name), settings) }
    }
}

pub(super) static SCHEMA: Schema = Schema {
    file: "Vhost.xml",
    root: "VirtualHost",
    entries: ENTRIES,
    unsupported: &[
        "ResourceLimits/MaxEdgeConnections",
        "ResourceLimits/MaxStreams",
        "ResourceLimits/MaxSharedObjects",
        "ResourceLimits/AppInstanceGC",
        "RecordAccessLog",
        "VirtualKeys",
        "VirtualDirectory",
        "DNSSuffix",
        "Proxy",
        "SSL",
        "Logging",
    ],
    renamed: &[],
    everywhere: &[],
};

/// It need not be there: applications need no folder.
const DEFAULT_APPS_DIR: &str = "lua";

const ENTRIES: &[Entry] = &[
    ams("AliasList/Alias*", Kind::Text, "", "Another name of the virtual host"),
    ams("AliasList/Alias*@name", Kind::Text, "", "Another one, usually a short one"),
    ams("AppsDir", Kind::Path, DEFAULT_APPS_DIR, "The folder that holds a folder for each application"),
    ams("ResourceLimits/MaxConnections", Kind::Limit { most: 100_000_000 }, "-1", "Clients at a time"),
    ams(
        "ResourceLimits/MaxAppInstances",
        Kind::Limit { most: 100_000_000 },
        "15000",
        "Instances of applications at a time. In place of the one that has been without clients for longest a new one is made; a client that wants one more while all have clients is refused",
    ),
    ours(
        "ResourceLimits/MaxAppInstancesPerAddress",
        Kind::Limit { most: 100_000_000 },
        "512",
        "Instances of applications with a script at a time that clients of one IP address have made; an IPv6 address is a network of 64 bits. In place of the one of them that has been without clients for longest a new one is made; a client that wants one more while all have clients is refused. Some 43 MB at 84 kB each; a school behind one NAT never makes so many rooms at a time",
    ),
    ams(
        "AutoCloseIdleClients@enable",
        idle::ENABLE,
        "inherit",
        "Whether clients that do nothing are disconnected. `inherit`: as Server.xml says",
    ),
    ams(
        "AutoCloseIdleClients/MaxIdleTime",
        idle::MAX_IDLE_TIME,
        "0",
        "How long a client may do nothing, in seconds. 0: as Server.xml says",
    ),
    ams("Allow", Kind::Hosts, "", ALLOW),
    ours("Deny", Kind::Hosts, "", "Who may not connect, unless `Order` says otherwise"),
    ours("Order", ORDER, "Allow,Deny", "Which of the two has the last word; see the rules"),
    ours(
        "DefaultApplication",
        Kind::Text,
        "default",
        "The application that answers a lookup if neither the asker nor the peer asked for is connected",
    )
    .of_default_only("a lookup by nobody's client names no virtual host: that of `_defaultVHost_` answers"),
    ours(
        "UnregisteredApplications",
        Kind::Word(&["accept", "reject"]),
        "accept",
        "What happens to a client that connects to an application without a folder: `accept` runs it without a script, whatever its path is; `reject` refuses the client",
    ),
];

impl Vhost {
    /// Reads the file; the applications come later.
    pub(super) fn read(
        name: &str,
        view: &View<'_>,
        root: &Path,
        above: IdleClients,
        defaults: Arc<Application>,
    ) -> Self {
        let mut aliases = Vec::new();
        for view in view.each("AliasList/Alias*") {
            for alias in ["", "@name"].map(|path| view.parsed(path, |_, text| parse_alias(text))).into_iter().flatten()
            {
                if !aliases.contains(&alias) {
                    aliases.push(alias);
                }
            }
        }
        let default_application = view.parsed("DefaultApplication", |_, text| {
            is_application(text)
                .then(|| text.to_owned())
                .ok_or_else(|| Some(format!("`{}` is no name of an application", shown_value(text))))
        });
        let apps_dir = view.path("AppsDir").unwrap_or_default();
        let is_default = apps_dir == Path::new(DEFAULT_APPS_DIR);
        let apps_dir = root.join(apps_dir);
        if !is_default && Presence::of(&apps_dir) == Presence::Absent {
            // Without it, all its applications would run without their scripts and settings.
            view.problem("AppsDir", |path| format!("{path}: there is no folder {}", apps_dir.display()));
        }
        Self {
            name: name.into(),
            aliases,
            apps_dir,
            max_connections: view.limit("ResourceLimits/MaxConnections"),
            max_app_instances: view.limit("ResourceLimits/MaxAppInstances"),
            max_app_instances_per_address: view.limit("ResourceLimits/MaxAppInstancesPerAddress"),
            idle_clients: above.refined(view),
            access: Access::read_for_clients(view),
            default_application,
            accepts_unregistered: view.word("UnregisteredApplications", &[("accept", true), ("reject", false)]),
            defaults,
            applications: BTreeMap::new(),
        }
    }

    /// Whether the host is called so. Case does not count, nor does it in letters beyond ASCII.
    pub fn is_called(&self, host: &str) -> bool {
        let is_it = |name: &str| name.eq_ignore_ascii_case(host) || name.to_lowercase() == host.to_lowercase();
        is_it(&self.name) || self.aliases.iter().any(|alias| is_it(alias))
    }

    /// The settings of an application: those of the virtual host for one without a file of its own.
    pub fn application(&self, name: &str) -> &Arc<Application> {
        self.applications.get(name).map_or(&self.defaults, |registered| &registered.settings)
    }

    /// Whether clients may connect to an application of that name.
    pub fn accepts(&self, name: &str) -> bool {
        self.accepts_unregistered || self.applications.contains_key(name)
    }
}

fn parse_alias(text: &str) -> Result<Option<String>, Option<String>> {
    let is_alias = text.len() <= 253 && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'));
    match text {
        "" => Ok(None),
        _ if is_alias => Ok(Some(text.to_lowercase())),
        _ => Err(Some(format!("`{}` is no name of a host", shown_value(text)))),
    }
}

/// Whether an application may have that name: one folder deep, no way out of it, and nothing that no client can ask for.
pub(super) fn is_application(name: &str) -> bool {
    let is_barred = |c: char| matches!(c, '/' | '\\') || c.is_control();
    (1..=255).contains(&name.len()) && !name.starts_with('.') && !name.contains(is_barred)
}
