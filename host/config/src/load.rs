//! Reads a folder of configuration files: the server, its adaptors, their virtual hosts.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::adaptor::Adaptor;
use super::application::Application;
use super::config::{Config, Loaded};
use super::keys::application::ApplicationXml;
use super::keys::vhost::VhostXml;
use super::listen::Listen;
use super::presence::Presence;
use super::problem::{Findings, Place, Problem};
use super::problems::Problems;
use super::reading::{DEFAULT_ADAPTOR, DEFAULT_VHOST, Reading, name_of};
use super::server::Server;
use super::source;
use super::users::Users;
use super::variables::{Environment, Variables};
use super::vhost::Vhost;
use super::view::View;
use super::xml::Element;

/// The folders with files for programs that watch the server or start it, which it does not read itself.
const FOR_OTHERS: [&str; 2] = ["monitoring", "systemd"];
/// The folder that is read when none is named.
const DEFAULT_DIR: &str = "conf";
/// Files of variables; what an earlier one sets stays.
const INI: [&str; 3] = ["introd.ini", "ams.ini", "fms.ini"];

impl Config {
    /// The built-in defaults: what a server runs with that has no files at all.
    pub fn built_in() -> Self {
        // The folder that by convention is never there.
        let nowhere = Path::new("/nonexistent/conf");
        match (Loader { dir: nowhere, root: Path::new("."), environment: &|_| None }).load() {
            Ok(loaded) => loaded.config,
            Err(problems) => unreachable!("the built-in defaults are in order: {problems}"),
        }
    }

    /// Reads the files of a folder, or of the folder `conf` here if none is named. Relative paths in them count from the folder
    /// that holds it. Host names in access rules are not looked up; see [`Config::resolve_hosts`].
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
        Loader { dir, root, environment: &|name| std::env::var(name).ok() }.load()
    }
}

/// Where the configuration comes from, in words: the folder in full, or that there is none. `dir` is as for [`Config::load`].
pub fn origin(dir: Option<&Path>) -> String {
    let named = dir.unwrap_or(Path::new(DEFAULT_DIR));
    let full = std::path::absolute(named).unwrap_or_else(|_| named.to_owned());
    if named.is_dir() {
        format!("the configuration is that of {}", full.display())
    } else {
        format!(
            "there is no folder {}: the server has its built-in defaults, and every application is open to all clients",
            full.display()
        )
    }
}

/// Where a configuration is.
pub(super) struct Loader<'a> {
    /// The folder with the files.
    pub(super) dir: &'a Path,
    /// The folder from which relative paths in the files count.
    pub(super) root: &'a Path,
    /// Variables that no file sets.
    pub(super) environment: Environment<'a>,
}

impl Loader<'_> {
    /// Reads everything, and finds all problems in one go.
    pub(super) fn load(&self) -> Result<Loaded, Problems> {
        let mut findings = Findings::default();
        let mut files = Vec::new();
        let variables = self.variables(&mut findings, &mut files);
        let mut reading = Reading { root: self.root, variables: &variables, findings, broken: Vec::new(), files };
        reading.strangers(self.dir, &["Server.xml", "Users.xml", "Logger.xml", "introd.ini", "ams.ini", "fms.ini"]);
        reading.logger(&self.dir.join("Logger.xml"));
        let server = reading.read(&self.dir.join("Server.xml"), |view| Server::read(view, self.root));
        let users = reading.read(&self.dir.join("Users.xml"), Users::read);
        let mut listening = Vec::new();
        let default_adaptor = reading.adaptor(&self.dir.join(DEFAULT_ADAPTOR), &server, &mut listening);
        let mut adaptors = Vec::new();
        for folder in reading.folders(self.dir) {
            if folder.file_name().is_some_and(|name| name == DEFAULT_ADAPTOR) {
                continue;
            }
            if Presence::of(&folder.join("Adaptor.xml")) != Presence::Absent {
                adaptors.push(reading.adaptor(&folder, &server, &mut listening));
            } else if !folder.file_name().is_some_and(|name| FOR_OTHERS.iter().any(|other| name == *other)) {
                reading.warn(&folder, "this folder is not used: the folder of an adaptor holds an Adaptor.xml");
            }
        }
        reading.collisions(&listening);
        if listening.is_empty() && !reading.findings.has_errors() {
            let file = self.dir.join(DEFAULT_ADAPTOR).join("Adaptor.xml");
            reading.warn(&file, "no adaptor listens for RTMFP: nobody can connect");
        }
        let Reading { mut findings, mut broken, files, .. } = reading;
        let config = Config { root: self.root.to_owned(), server, users, default_adaptor, adaptors };
        let place = Place::whole(&self.dir.join(DEFAULT_ADAPTOR).join("Adaptor.xml").into());
        for message in relay_collisions(&config, &listening) {
            findings.push(Problem::error(&place, message));
        }
        let secrets = variables.secrets();
        let concealed = |mut problems: Vec<Problem>| {
            problems.iter_mut().for_each(|problem| problem.message = secrets.conceal(&problem.message));
            problems
        };
        if findings.has_errors() {
            broken.into_iter().flat_map(|broken| broken.problems).for_each(|problem| findings.push(problem));
            return Err(Problems(concealed(findings.into_vec())));
        }
        for broken in &mut broken {
            broken.problems = concealed(std::mem::take(&mut broken.problems));
        }
        Ok(Loaded { config, warnings: concealed(findings.into_vec()), broken, files, secrets })
    }

    fn variables(&self, findings: &mut Findings, files: &mut Vec<PathBuf>) -> Variables<'_> {
        let mut variables = Variables::new(self.environment);
        for name in INI {
            if let Some((file, text)) = source::text(&self.dir.join(name), findings) {
                variables.add(&file, &text, findings);
                files.push(file.to_path_buf());
            }
        }
        variables.check(findings);
        variables
    }
}

/// An address, and where it stands.
type Listening = (Listen, Place);

/// What keeps the relay's ports from being opened: addresses at which the server itself listens.
fn relay_collisions(config: &Config, listening: &[Listening]) -> Vec<String> {
    let ports = config.relay().into_iter().flat_map(|relay| relay.ports.iter().flatten());
    let collision = ports.filter_map(|port| Some((port, listening.iter().find(|(other, _)| other.collides(port))?)));
    let message = |(port, (other, place)): (&Listen, &Listening)| {
        let (port, other) = (port.local, other.local);
        format!("the relay's port UDP {port} collides with {other} of {place}: name other ports in RTMFP/Relay/Ports")
    };
    // One says it: the ports are a range.
    collision.map(message).take(1).collect()
}

impl Reading<'_> {
    fn adaptor(&mut self, folder: &Path, server: &Server, listening: &mut Vec<Listening>) -> Adaptor {
        self.strangers(folder, &["Adaptor.xml"]);
        let name = name_of(folder);
        let file = folder.join("Adaptor.xml");
        // The problems of the virtual hosts follow those of the adaptor, which can only be built from them.
        let before = std::mem::take(&mut self.findings);
        let default_vhost = self.vhost(&folder.join(DEFAULT_VHOST), &name, server);
        let mut vhosts: Vec<Vhost> = Vec::new();
        for folder in self.folders(folder) {
            if folder.file_name().is_some_and(|name| name == DEFAULT_VHOST) {
                continue;
            }
            if Presence::of(&folder.join("Vhost.xml")) != Presence::Absent {
                let vhost = self.vhost(&folder, &name, server);
                self.namesakes(&folder, &vhost, &vhosts);
                vhosts.push(vhost);
            } else {
                self.warn(&folder, "this folder is not used: the folder of a virtual host holds a Vhost.xml");
            }
        }
        let inside = std::mem::replace(&mut self.findings, before);
        let (adaptor, places) = self.read(&file, |view| Adaptor::read(&name, view, server, default_vhost, vhosts));
        self.findings.append(inside);
        let whole = Place::whole(&file.into());
        listening.extend(places.into_iter().map(|(listen, place)| (listen, place.unwrap_or_else(|| whole.clone()))));
        adaptor
    }

    /// Reports two virtual hosts of one name: only the first would ever answer.
    fn namesakes(&mut self, folder: &Path, vhost: &Vhost, others: &[Vhost]) {
        let mut names = std::iter::once(&vhost.name).chain(&vhost.aliases);
        let clash = names.find_map(|name| Some((name, others.iter().find(|other| other.is_called(name))?)));
        if let Some((name, other)) = clash {
            let place = Place::whole(&folder.join("Vhost.xml").into());
            let message = format!("the virtual host {} is called {name} already", other.name);
            self.findings.push(Problem::error(&place, message));
        }
    }

    fn vhost(&mut self, folder: &Path, adaptor: &str, server: &Server) -> Vhost {
        self.strangers(folder, &["Vhost.xml", "Application.xml"]);
        let name = name_of(folder);
        let root = self.root;
        let tree = self.tree::<VhostXml>(&folder.join("Vhost.xml"));
        // The applications need the virtual host's word on idle clients, and it needs their defaults.
        let unheard = RefCell::default();
        let idle_clients = Vhost::read_idle_clients(&View::new(tree.as_ref(), &unheard), server.idle_clients);
        let file = folder.join("Application.xml");
        let before = std::mem::take(&mut self.findings);
        let base = self.tree::<ApplicationXml>(&file);
        let defaults = self.view(base.as_ref(), |view| Application::read(view, root, idle_clients));
        // An application is not blamed for what is wrong in the file that it overrides.
        let base = base.filter(|_| !self.findings.has_errors());
        let inside = std::mem::replace(&mut self.findings, before);
        let mut vhost =
            self.view(tree.as_ref(), |view| Vhost::read(&name, view, root, server.idle_clients, Arc::new(defaults)));
        self.findings.append(inside);
        let base = base.unwrap_or_else(|| Element::empty("Application", &Place::whole(&file.into())));
        vhost.applications = self.applications(adaptor, &vhost, &base);
        vhost
    }

    fn collisions(&mut self, listening: &[Listening]) {
        for (index, (listen, place)) in listening.iter().enumerate() {
            let earlier = listening.iter().take(index).find(|(other, _)| other.collides(listen));
            if let Some((other, other_place)) = earlier {
                let message = format!("UDP {} collides with {} of {other_place}", listen.local, other.local);
                self.findings.push(Problem::error(place, message));
            }
        }
    }

    fn logger(&mut self, path: &Path) {
        if path.is_file() {
            self.warn(
                path,
                "this file has no effect: the log goes to the standard error output, see `introd run --help`",
            );
        }
    }
}
