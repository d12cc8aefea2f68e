//! Everything that the files say, as one value.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::access::{UnknownHost, addresses_of};
use super::adaptor::Adaptor;
use super::application::Application;
use super::choices::RelayMode;
use super::diagnostic::Diagnostic;
use super::grouping::lines;
use super::plugin::Plugin;
use super::problem::{Findings, Problem};
use super::relay::Relay;
use super::server::Server;
use super::users::Users;
use super::variables::Secrets;
use super::vhost::{Registered, Vhost};

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
    /// The warnings about them.
    pub warnings: Vec<Problem>,
    /// Applications in whose folders something is broken: they reject clients and lookups.
    pub broken: Vec<Broken>,
    /// The files that it was read from, but for those of applications.
    pub files: Vec<PathBuf>,
    /// The secrets in it, which no message may repeat.
    pub secrets: Secrets,
}

/// An application in whose folder something is broken.
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

impl Loaded {
    /// What there is to say of the files. `is_verbose`: what is not supported has a line each, not one a file.
    pub fn diagnostics(&self, is_verbose: bool) -> Vec<Diagnostic> {
        let mut findings = Findings::default();
        let broken = self.broken.iter().flat_map(|broken| &broken.problems);
        self.warnings.iter().chain(broken).for_each(|problem| findings.push(problem.clone()));
        lines(&findings.into_vec(), is_verbose)
    }

    /// What becomes of the applications whose files are broken, at a start: it has no older settings of theirs to keep.
    pub fn closed(&self) -> Vec<Diagnostic> {
        let closed = |Broken { vhost, application, .. }: &Broken| {
            Diagnostic::error(format!("application {application} of {vhost} rejects clients and lookups"))
        };
        self.broken.iter().map(closed).collect()
    }
}

impl Config {
    /// Looks up the hosts that access rules and `PublicIP` name, which may take seconds, and returns those of access rules that have no
    /// address now.
    pub fn resolve_hosts(&mut self) -> Vec<UnknownHost> {
        self.resolve_hosts_with(&addresses_of)
    }

    pub(super) fn resolve_hosts_with(&mut self, lookup: &dyn Fn(&str) -> Vec<IpAddr>) -> Vec<UnknownHost> {
        if let Some(host) = &mut self.server.public_ip
            && let Some(found) = host.name().map(lookup)
        {
            *host = host.clone().with_addresses(&found);
        }
        let mut unknown = self.server.admin.access.resolve("the administration", lookup);
        for adaptor in std::iter::once(&mut self.default_adaptor).chain(&mut self.adaptors) {
            unknown.extend(adaptor.access.resolve(&format!("adaptor {}", adaptor.name), lookup));
            for vhost in std::iter::once(&mut adaptor.default_vhost).chain(&mut adaptor.vhosts) {
                unknown.extend(vhost.access.resolve(&format!("virtual host {}", vhost.name), lookup));
            }
        }
        for user in &mut self.users.users {
            unknown.extend(user.access.resolve("an administrator", lookup));
        }
        unknown.sort();
        unknown.dedup();
        unknown
    }

    /// The relay, if there is to be one: the file names its ports, or an application relays by its settings.
    pub fn relay(&self) -> Option<&Relay> {
        let relay = &self.default_adaptor.relay;
        let vhosts = || self.all_adaptors().flat_map(Adaptor::all_vhosts);
        let settings = vhosts().flat_map(|vhost| {
            vhost.applications.values().map(|registered| &registered.settings).chain([&vhost.defaults])
        });
        let mut modes = settings.map(|settings| settings.relay_mode);
        (relay.is_named || modes.any(|mode| mode != RelayMode::None)).then_some(relay)
    }

    /// All adaptors, `_defaultRoot_` first.
    pub fn all_adaptors(&self) -> impl Iterator<Item = &Adaptor> {
        std::iter::once(&self.default_adaptor).chain(&self.adaptors)
    }

    /// The native plugins of all applications, each configuration of each once; and of each whether it is used
    /// only by applications that are kept as they were ([`Registered::is_kept`]).
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
