//! The configuration: the files of Adobe's servers, read into one checked [`Config`].
//!
//! A folder `conf` holds `Server.xml`, `Users.xml`, `introd.ini`, and a folder for each adaptor; that holds `Adaptor.xml` and a
//! folder for each virtual host, with `Vhost.xml` and `Application.xml`. An application's folder may hold an `Application.xml`
//! that overrides the virtual host's. Whatever is missing has the built-in defaults, which are also what the shipped files say.
//!
//! Each file is described by one table, its `Schema`: what may stand in it, of what kind, with what default and meaning. The
//! reading, the checks of names, the suggestions, and the tables of `conf/README.md` all come from it.

mod access;
mod adaptor;
mod application;
mod duration;
mod idle;
mod keeping;
mod load;
mod names;
mod overlay;
mod password;
mod ports;
mod presence;
mod problem;
mod reference;
mod schema;
mod server;
mod settings;
mod source;
mod summary;
mod users;
mod variables;
mod vhost;
mod view;
mod xml;

#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use access::{Access, NameAccess, Order, UnknownHost};
pub use adaptor::{Adaptor, ForwardedHello, KeepAlive, Rtmfp};
pub use application::{Application, Fallback, JoinLeaveMode, LookupMode, LookupsFrom, Plugin, Policy, Script};
pub use idle::IdleClients;
pub use keeping::Kept;
pub use load::DEFAULT_VHOST;
pub use password::Password;
pub use ports::{Listen, PortList, PortSet};
pub use problem::{Place, Problem, Problems, Severity};
pub use reference::reference;
pub use server::{AdminServer, Limits, LoginLimits, Registry, Server};
pub use settings::Settings;
pub use users::{HttpCommands, User, Users};
pub use variables::Secrets;
pub use vhost::{Registered, Vhost};

/// The folder that is read when none is named.
const DEFAULT_DIR: &str = "conf";

/// Everything that the files say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The folder from which relative paths count.
    pub root: PathBuf,
    /// Server.xml.
    pub server: Server,
    /// Users.xml.
    pub users: Users,
    /// The adaptor `_defaultRoot_`.
    pub default_adaptor: Adaptor,
    /// The others.
    pub adaptors: Vec<Adaptor>,
}

/// A configuration that the server starts with.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the files say.
    pub config: Config,
    /// What should be known about them.
    pub warnings: Vec<Problem>,
    /// Applications of whose folders something is broken: they turn clients and lookups away.
    pub broken: Vec<Broken>,
    /// The files that it was read from, but for those of applications.
    pub files: Vec<PathBuf>,
    /// What is not to be repeated of it.
    pub secrets: Secrets,
}

/// An application of whose folder something is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its adaptor.
    pub adaptor: String,
    /// Its virtual host.
    pub vhost: String,
    /// Its name.
    pub application: String,
    /// What is wrong; warnings included.
    pub problems: Vec<Problem>,
}

impl Config {
    /// The built-in defaults: what a server runs with that has no files at all.
    pub fn built_in() -> Self {
        // The folder that by convention is never there.
        let nowhere = Path::new("/nonexistent/conf");
        match (load::Loader { dir: nowhere, root: Path::new("."), environment: &|_| None }).load() {
            Ok(loaded) => loaded.config,
            Err(problems) => unreachable!("the built-in defaults are in order: {problems}"),
        }
    }

    /// Reads the files of a folder, or of the folder `conf` here if none is named. Relative paths in them count from the folder
    /// that holds it. Host names in access rules are not looked up; see [`Access::resolve`].
    ///
    /// # Errors
    /// Everything that is wrong in all files, if anything but the own file of an application is; or that a folder that was named
    /// does not exist.
    pub fn load(dir: Option<&Path>) -> Result<Loaded, Problems> {
        if let Some(dir) = dir.filter(|dir| !dir.is_dir()) {
            let problem = Problem::error(&Place::whole(&dir.into()), "there is no such folder");
            return Err(Problems(vec![problem]));
        }
        let dir = dir.unwrap_or(Path::new(DEFAULT_DIR));
        let root = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        load::Loader { dir, root, environment: &|name| std::env::var(name).ok() }.load()
    }

    /// Looks up the hosts that access rules name, which may take seconds, and gives back those that have no address now.
    pub fn resolve_hosts(&mut self) -> Vec<UnknownHost> {
        let mut unknown = self.server.admin.access.resolve("the administration");
        for adaptor in std::iter::once(&mut self.default_adaptor).chain(&mut self.adaptors) {
            unknown.extend(adaptor.access.resolve(&format!("adaptor {}", adaptor.name)));
            for vhost in std::iter::once(&mut adaptor.default_vhost).chain(&mut adaptor.vhosts) {
                unknown.extend(vhost.access.resolve(&format!("virtual host {}", vhost.name)));
            }
        }
        for user in &mut self.users.users {
            unknown.extend(user.access.resolve("an administrator"));
        }
        unknown.sort();
        unknown.dedup();
        unknown
    }

    /// All adaptors, `_defaultRoot_` first.
    pub fn all_adaptors(&self) -> impl Iterator<Item = &Adaptor> {
        std::iter::once(&self.default_adaptor).chain(&self.adaptors)
    }

    /// The native plugins of all applications, each configuration of each once; and of each whether none but applications that
    /// are kept as they were ([`Registered::is_kept`]) use it.
    pub fn plugins(&self) -> impl Iterator<Item = (&Plugin, bool)> {
        let vhosts = self.all_adaptors().flat_map(Adaptor::all_vhosts);
        let settings = vhosts.flat_map(|vhost| {
            let own = vhost.applications.values().map(|registered| (&registered.settings, registered.is_kept));
            own.chain([(&vhost.defaults, false)])
        });
        let mut known: Vec<(&Plugin, bool)> = Vec::new();
        for (plugin, is_kept) in
            settings.flat_map(|(settings, is_kept)| settings.plugins.iter().map(move |plugin| (plugin, is_kept)))
        {
            match known.iter_mut().find(|(other, _)| *other == plugin) {
                Some((_, is_all_kept)) => *is_all_kept &= is_kept,
                None => known.push((plugin, is_kept)),
            }
        }
        known.into_iter()
    }

    /// All applications that have a folder, with the names of their adaptors and virtual hosts, and their own.
    pub fn registered(&self) -> impl Iterator<Item = (&Adaptor, &Vhost, &str, &Registered)> {
        self.all_adaptors().flat_map(|adaptor| {
            adaptor.all_vhosts().flat_map(move |vhost| {
                let applications = vhost.applications.iter();
                applications.map(move |(name, registered)| (adaptor, vhost, name.as_str(), registered))
            })
        })
    }

    /// The settings of an application of a virtual host; any name has some.
    pub fn application(&self, vhost: &Vhost, name: &str) -> Arc<Application> {
        Arc::clone(vhost.application(name))
    }
}

/// Reads the files of a folder as [`Config::load`] does and writes all problems, then, if the server would start, a summary of
/// what would run. Gives back whether everything is in order; warnings are.
///
/// # Errors
/// If `out` cannot be written to.
pub fn check(dir: Option<&Path>, out: &mut impl Write) -> io::Result<bool> {
    match Config::load(dir) {
        Ok(loaded) => {
            let mut findings = problem::Findings::default();
            let broken = loaded.broken.iter().flat_map(|broken| &broken.problems);
            loaded.warnings.iter().chain(broken).for_each(|problem| findings.push(problem.clone()));
            for problem in findings.into_vec() {
                writeln!(out, "{problem}")?;
            }
            for broken in &loaded.broken {
                let Broken { vhost, application, .. } = broken;
                writeln!(out, "{vhost}/{application}: the application turns clients and lookups away")?;
            }
            write!(out, "{}", loaded.secrets.conceal(&loaded.config.to_string()))?;
            Ok(loaded.broken.is_empty())
        }
        Err(problems) => {
            writeln!(out, "{problems}")?;
            Ok(false)
        }
    }
}
