//! Vhost.xml: a virtual host and its applications.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::access::Access;
use super::application::Application;
use super::idle::IdleClients;
use super::keys::vhost as keys;
use super::presence::Presence;
use super::view::View;

/// The folder whose application serves every path that has no folder of its own.
pub const CATCH_ALL: &str = "_default_";

/// A virtual host: the name that clients connect to, and what they find there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vhost {
    /// The name: that of its folder.
    pub name: String,
    /// Its other names, in small letters.
    pub aliases: Vec<String>,
    /// Where the folders of its applications are; of two of one name that in the first of these counts.
    pub apps_dirs: Vec<PathBuf>,
    /// The most clients at a time.
    pub max_connections: Option<u64>,
    /// The most instances of applications at a time.
    pub max_app_instances: Option<u64>,
    /// The most instances of applications with a script that clients of one address have made, at a time.
    pub max_app_instances_per_address: Option<u64>,
    /// What happens to idle clients, where no application says otherwise.
    pub idle_clients: IdleClients,
    /// The addresses that may connect.
    pub access: Access,
    /// The application whose policy decides a lookup if neither the peer that asks nor the peer that it looks up is connected.
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
    /// Why it rejects clients and lookups: something in its folder cannot be read, or is wrong.
    pub closed: Option<Arc<str>>,
    /// Whether these are the settings from before a reload, because the files that stand there now are broken or gone.
    pub is_kept: bool,
}

impl Registered {
    /// An application with a folder that is in order.
    pub fn new(folder: PathBuf, settings: Arc<Application>) -> Self {
        Self { folder, settings, has_script: false, has_file: false, closed: None, is_kept: false }
    }

    /// An application that rejects clients and lookups, for that reason.
    pub(super) fn closed(vhost: &Vhost, folder: PathBuf, reason: Arc<str>) -> Self {
        let settings = Arc::new(vhost.defaults.to_closed());
        Self { closed: Some(reason), ..Self::new(folder, settings) }
    }
}

impl Vhost {
    /// Reads the file; the applications come later.
    pub(super) fn read(
        name: &str,
        view: &View<'_, keys::VhostXml>,
        root: &Path,
        above: IdleClients,
        defaults: Arc<Application>,
    ) -> Self {
        let (allow, deny) = (view.read(&keys::ALLOW), view.read(&keys::DENY));
        let access = Access::new(allow, deny, view.read(&keys::VHOST_ORDER));
        access.warn_of_empty_allow(view, &keys::ALLOW);
        let (apps_dirs, are_all_there) = read_apps_dirs(view, root);
        Self {
            name: name.into(),
            aliases: read_aliases(view),
            apps_dirs,
            max_connections: view.read(&keys::MAX_CONNECTIONS),
            max_app_instances: view.read(&keys::MAX_APP_INSTANCES),
            max_app_instances_per_address: view.read(&keys::MAX_APP_INSTANCES_PER_ADDRESS),
            idle_clients: Self::read_idle_clients(view, above),
            access,
            default_application: view.read(&keys::DEFAULT_APPLICATION),
            accepts_unregistered: view.read(&keys::UNREGISTERED_APPLICATIONS) && are_all_there,
            defaults,
            applications: BTreeMap::new(),
        }
    }

    /// What the file makes of what the server says about idle clients.
    pub(super) fn read_idle_clients(view: &View<'_, keys::VhostXml>, above: IdleClients) -> IdleClients {
        above.refined(view.read(&keys::CLOSE_IDLE_CLIENTS), view.read(&keys::MAX_IDLE_TIME))
    }

    /// Whether the host is called so. Case does not count, nor does it in letters beyond ASCII.
    pub fn is_called(&self, host: &str) -> bool {
        let is_it = |name: &str| name.eq_ignore_ascii_case(host) || name.to_lowercase() == host.to_lowercase();
        is_it(&self.name) || self.aliases.iter().any(|alias| is_it(alias))
    }

    /// The application that serves clients of an application of that name: that of its own folder, or the catch-all one. `None` if there is
    /// neither.
    pub fn served_by(&self, name: &str) -> Option<(&str, &Registered)> {
        let found = self.applications.get_key_value(name).or_else(|| self.applications.get_key_value(CATCH_ALL));
        found.map(|(name, registered)| (name.as_str(), registered))
    }

    /// The settings of an application: those of the virtual host for one without a file of its own, unless there is a catch-all one.
    pub fn application(&self, name: &str) -> &Arc<Application> {
        self.served_by(name).map_or(&self.defaults, |(_, registered)| &registered.settings)
    }

    /// Whether clients may connect to an application of that name.
    pub fn accepts(&self, name: &str) -> bool {
        name != CATCH_ALL && (self.accepts_unregistered || self.applications.contains_key(name))
    }
}

fn read_aliases(view: &View<'_, keys::VhostXml>) -> Vec<String> {
    let mut aliases = Vec::new();
    for view in view.each::<keys::AliasElement>() {
        for alias in [view.read(&keys::ALIAS), view.read(&keys::ALIAS_NAME)].into_iter().flatten() {
            if !aliases.contains(&alias) {
                aliases.push(alias);
            }
        }
    }
    aliases
}

/// The folders of applications, and whether all of them are there. The default one need not be.
fn read_apps_dirs(view: &View<'_, keys::VhostXml>, root: &Path) -> (Vec<PathBuf>, bool) {
    let mut are_all_there = true;
    let mut dirs: Vec<PathBuf> = Vec::new();
    let mut named = view.read(&keys::APPS_DIR);
    if named.is_empty() {
        named.push(PathBuf::from(keys::DEFAULT_APPS_DIR));
    }
    for dir in named {
        let is_default = dir == Path::new(keys::DEFAULT_APPS_DIR);
        let dir = root.join(dir);
        if !is_default && Presence::of(&dir) == Presence::Absent {
            are_all_there = false;
            // Its applications would run without their scripts and settings.
            view.warning(&keys::APPS_DIR, |path| {
                format!(
                    "{path}: there is no folder {}: until there is, clients are turned away whose application has no folder",
                    dir.display()
                )
            });
        }
        if !dirs.contains(&dir) {
            dirs.push(dir);
        }
    }
    (dirs, are_all_there)
}
