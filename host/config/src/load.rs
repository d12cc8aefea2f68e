//! Reads a folder of configuration files.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::adaptor::{self, Adaptor};
use super::application::{self, Application, JoinLeaveMode, LookupMode};
use super::overlay::overlay;
use super::ports::Listen;
use super::presence::{self, Presence};
use super::problem::{Findings, Place, Problem, Problems};
use super::schema::Schema;
use super::server::{self, Server};
use super::users::{self, Users};
use super::variables::{Environment, Variables};
use super::vhost::{self, Registered, Vhost, is_application};
use super::view::View;
use super::xml::Element;
use super::{Broken, Config, Loaded, names, source};

/// The adaptor and the virtual host that are always there.
const DEFAULT_ADAPTOR: &str = "_defaultRoot_";
/// The folder of an adaptor's default virtual host, and its name.
pub const DEFAULT_VHOST: &str = "_defaultVHost_";
/// The most files and folders in a folder.
const MOST_ENTRIES: usize = 10_000;
/// Files of variables; what an earlier one sets stays.
const INI: [&str; 3] = ["introd.ini", "ams.ini", "fms.ini"];

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
        let server = reading.read(&self.dir.join("Server.xml"), &server::SCHEMA, |view| Server::read(view, self.root));
        let users = reading.read(&self.dir.join("Users.xml"), &users::SCHEMA, Users::read);
        let mut listening = Vec::new();
        let default_adaptor = reading.adaptor(&self.dir.join(DEFAULT_ADAPTOR), &server, &mut listening);
        let mut adaptors = Vec::new();
        for folder in reading.folders(self.dir) {
            if folder.file_name().is_some_and(|name| name == DEFAULT_ADAPTOR) {
                continue;
            }
            if Presence::of(&folder.join("Adaptor.xml")) != Presence::Absent {
                adaptors.push(reading.adaptor(&folder, &server, &mut listening));
            } else {
                reading.warn(&folder, "this folder is not used: an adaptor's holds an Adaptor.xml");
            }
        }
        reading.collisions(&listening);
        if listening.is_empty() && !reading.findings.has_errors() {
            let file = self.dir.join(DEFAULT_ADAPTOR).join("Adaptor.xml");
            reading.warn(&file, "no adaptor listens for RTMFP: nobody can connect");
        }
        let Reading { mut findings, mut broken, files, .. } = reading;
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
        let config = Config { root: self.root.to_owned(), server, users, default_adaptor, adaptors };
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

/// The work while it goes on.
struct Reading<'a> {
    root: &'a Path,
    variables: &'a Variables<'a>,
    findings: Findings,
    broken: Vec<Broken>,
    /// What was read, but for the files of applications.
    files: Vec<PathBuf>,
}

/// An address, and where it stands.
type Listening = (Listen, Place);

impl Reading<'_> {
    /// Reads a file into its type; one that is missing or broken reads as the defaults.
    fn read<T>(&mut self, path: &Path, schema: &'static Schema, read: impl FnOnce(&View<'_>) -> T) -> T {
        let tree = self.tree(path, schema);
        self.view(schema, tree.as_ref(), read)
    }

    fn tree(&mut self, path: &Path, schema: &'static Schema) -> Option<Element> {
        // Adaptor.xml and Vhost.xml stand in the folders of what they are about; the others there is one of.
        let folder = path.parent().map(name_of).unwrap_or_default();
        let is_default = match schema.file {
            "Adaptor.xml" => folder == DEFAULT_ADAPTOR,
            "Vhost.xml" => folder == DEFAULT_VHOST,
            _ => true,
        };
        let tree = source::tree(path, schema, is_default, self.variables, &mut self.findings);
        if tree.is_some() {
            self.files.push(path.to_owned());
        }
        tree
    }

    fn view<T>(&mut self, schema: &'static Schema, tree: Option<&Element>, read: impl FnOnce(&View<'_>) -> T) -> T {
        let found = RefCell::new(Findings::default());
        let value = read(&View::new(schema, tree, &found));
        self.findings.append(found.into_inner());
        value
    }

    fn adaptor(&mut self, folder: &Path, server: &Server, listening: &mut Vec<Listening>) -> Adaptor {
        self.strangers(folder, &["Adaptor.xml"]);
        let name = name_of(folder);
        let file = folder.join("Adaptor.xml");
        // What is found in the virtual hosts is told after what is found in the adaptor, which can only be built from them.
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
                self.warn(&folder, "this folder is not used: a virtual host's holds a Vhost.xml");
            }
        }
        let inside = std::mem::replace(&mut self.findings, before);
        let (adaptor, places) =
            self.read(&file, &adaptor::SCHEMA, |view| Adaptor::read(&name, view, server, default_vhost, vhosts));
        self.findings.append(inside);
        let whole = Place::whole(&file.into());
        listening.extend(places.into_iter().map(|(listen, place)| (listen, place.unwrap_or_else(|| whole.clone()))));
        adaptor
    }

    /// Of two virtual hosts of one name the first would answer; nobody means that.
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
        let tree = self.tree(&folder.join("Vhost.xml"), &vhost::SCHEMA);
        // The applications need the virtual host's word on idle clients, and it needs their defaults.
        let idle_clients = server.idle_clients.refined(&View::new(&vhost::SCHEMA, tree.as_ref(), &RefCell::default()));
        let file = folder.join("Application.xml");
        let before = std::mem::take(&mut self.findings);
        let base = self.tree(&file, &application::SCHEMA);
        let defaults =
            self.view(&application::SCHEMA, base.as_ref(), |view| Application::read(view, root, idle_clients));
        // An application is not blamed for what is wrong in the file that it overrides.
        let base = base.filter(|_| !self.findings.has_errors());
        let inside = std::mem::replace(&mut self.findings, before);
        let mut vhost = self.view(&vhost::SCHEMA, tree.as_ref(), |view| {
            Vhost::read(&name, view, root, server.idle_clients, Arc::new(defaults))
        });
        self.findings.append(inside);
        let base = base.unwrap_or_else(|| Element::empty("Application", &Place::whole(&file.into())));
        vhost.applications = self.applications(adaptor, &vhost, &base);
        vhost
    }

    /// The applications in the folder of a virtual host: each folder with a script or a file of settings is one.
    fn applications(&mut self, adaptor: &str, vhost: &Vhost, base: &Element) -> BTreeMap<String, Registered> {
        let mut applications = BTreeMap::new();
        for folder in self.list(&vhost.apps_dir) {
            let Some(contents) = Contents::of(&folder) else { continue };
            let name = folder.file_name().and_then(|name| name.to_str()).filter(|name| is_application(name));
            let Some(name) = name else {
                self.warn(&folder, "this folder is not used: no application can have such a name");
                continue;
            };
            let Contents { has_script, has_file, mut problems } = contents;
            let settings = if problems.is_empty() {
                self.application(&folder.join("Application.xml"), vhost, base)
                    .map_err(|found| problems.extend(found))
                    .ok()
            } else {
                None
            };
            let registered = match settings {
                Some(settings) => {
                    if !has_script && settings.plugins.is_empty() {
                        self.nobody_decides(&folder, &settings);
                    }
                    Registered { has_script, has_file, ..Registered::new(folder.clone(), settings) }
                }
                None => {
                    let first = problems.iter().find(|problem| !problem.is_warning()).or(problems.first());
                    let reason =
                        first.map(|problem| format!("{}: {}", problem.place, problem.message)).unwrap_or_default();
                    let (adaptor, vhost_name) = (adaptor.to_owned(), vhost.name.clone());
                    let broken = Broken { adaptor, vhost: vhost_name, application: name.to_owned(), problems };
                    self.broken.push(broken);
                    Registered { has_script, has_file, ..Registered::closed(vhost, name, reason.into()) }
                }
            };
            applications.insert(name.to_owned(), registered);
        }
        applications
    }

    /// An application without script and plugins that leaves to them what the server would do.
    fn nobody_decides(&mut self, folder: &Path, settings: &Application) {
        let mut left = |element, outcome| {
            self.warn(folder, &format!("{element} are left to a script, and there is none (main.lua): {outcome}"));
        };
        if settings.peer_lookup_events == LookupMode::All {
            left("PeerLookupEvents", "nobody is introduced");
        }
        if settings.join_leave_events == JoinLeaveMode::All {
            left("JoinLeaveEvents", "groups do not start");
        }
    }

    fn application(&mut self, file: &Path, vhost: &Vhost, base: &Element) -> Result<Arc<Application>, Vec<Problem>> {
        let mut findings = Findings::default();
        let tree = source::tree(file, &application::SCHEMA, true, self.variables, &mut findings);
        let Some(tree) = tree.filter(|_| !findings.has_errors()) else {
            let problems = findings.into_vec();
            return if problems.is_empty() { Ok(Arc::clone(&vhost.defaults)) } else { Err(problems) };
        };
        let merged = overlay(&application::SCHEMA, base, &tree, &mut findings);
        let found = RefCell::new(findings);
        let view = View::new(&application::SCHEMA, Some(&merged), &found);
        let application = Application::read(&view, self.root, vhost.idle_clients);
        let findings = found.into_inner();
        if findings.has_errors() {
            return Err(findings.into_vec());
        }
        self.findings.append(findings);
        Ok(Arc::new(application))
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

    /// What is in a folder, by name.
    fn list(&mut self, folder: &Path) -> Vec<PathBuf> {
        let place = || Place::whole(&folder.into());
        match presence::list(folder, MOST_ENTRIES) {
            Ok(entries) if entries.len() > MOST_ENTRIES => {
                let message = format!("the folder holds more than {MOST_ENTRIES} files and folders");
                self.findings.push(Problem::error(&place(), message));
                Vec::new()
            }
            Ok(entries) => entries,
            Err(error) => {
                self.findings.push(Problem::error(&place(), format!("the folder cannot be listed: {error}")));
                Vec::new()
            }
        }
    }

    /// The folders in a folder, by name.
    fn folders(&mut self, folder: &Path) -> Vec<PathBuf> {
        let mut folders = Vec::new();
        for path in self.list(folder) {
            match Presence::of(&path) {
                Presence::Folder => folders.push(path),
                Presence::Other(why) => {
                    self.findings.push(Problem::error(&Place::whole(&path.as_path().into()), why));
                }
                Presence::File | Presence::Absent => (),
            }
        }
        folders
    }

    /// A misnamed file would be as good as none.
    fn strangers(&mut self, folder: &Path, known: &[&str]) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_ours =
            |path: &PathBuf| path.is_file() && path.extension().is_some_and(|end| end == "xml" || end == "ini");
        let mut strangers: Vec<PathBuf> = entries
            .filter(is_ours)
            .filter(|path| !known.contains(&name_of(path).as_str()))
            .take(MOST_ENTRIES)
            .collect();
        strangers.sort();
        for stranger in strangers {
            let hint = names::nearest(&name_of(&stranger), known.iter().copied());
            let hint = hint.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            self.warn(&stranger, &format!("this file is not used{hint}"));
        }
    }

    fn logger(&mut self, path: &Path) {
        if path.is_file() {
            self.warn(path, "this file is not supported and has no effect");
        }
    }

    fn warn(&mut self, path: &Path, message: &str) {
        self.findings.push(Problem::warning(&Place::whole(&path.into()), message));
    }
}

/// What is in the folder of an application.
struct Contents {
    has_script: bool,
    has_file: bool,
    /// What cannot be made out.
    problems: Vec<Problem>,
}

impl Contents {
    /// `None` if it is no folder of an application.
    fn of(folder: &Path) -> Option<Self> {
        let mut contents = Self { has_script: false, has_file: false, problems: Vec::new() };
        match Presence::of(folder) {
            Presence::Folder => (),
            Presence::Other(why) => {
                contents.problems.push(Problem::error(&Place::whole(&folder.into()), why));
                return Some(contents);
            }
            Presence::File | Presence::Absent => return None,
        }
        for script in ["main.lua".to_owned(), format!("{}.lua", name_of(folder))] {
            contents.has_script |= contents.has(&folder.join(script));
        }
        contents.has_file = contents.has(&folder.join("Application.xml"));
        (contents.has_script || contents.has_file).then_some(contents)
    }

    /// Whether something stands there. It should be a file.
    fn has(&mut self, path: &Path) -> bool {
        let presence = Presence::of(path);
        let is_there = presence != Presence::Absent;
        if let Some(why) = presence.unless_file() {
            self.problems.push(Problem::error(&Place::whole(&path.into()), why));
        }
        is_there
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
