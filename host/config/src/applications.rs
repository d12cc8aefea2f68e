//! The applications in the folder of a virtual host.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::application::Application;
use super::choices::{GroupScope, JoinLeaveMode, LookupMode, RelayCallScope};
use super::config::Broken;
use super::key::File;
use super::keys::application::ApplicationXml;
use super::naming::is_application;
use super::overlay::overlay;
use super::presence::Presence;
use super::problem::{Findings, Place, Problem};
use super::reading::{Reading, name_of};
use super::source;
use super::vhost::{CATCH_ALL, Registered, Vhost};
use super::view::View;
use super::xml::Element;

impl Reading<'_> {
    /// The applications in the folder of a virtual host: each folder with a script or a file of settings is one.
    pub(super) fn applications(
        &mut self,
        adaptor: &str,
        vhost: &Vhost,
        base: &Element,
    ) -> BTreeMap<String, Registered> {
        let mut applications = BTreeMap::new();
        let folders: Vec<_> = vhost.apps_dirs.iter().flat_map(|dir| self.list(dir)).collect();
        for folder in folders {
            let Some(contents) = Contents::of(&folder) else { continue };
            let name = folder.file_name().and_then(|name| name.to_str()).filter(|name| is_application(name));
            let Some(name) = name else {
                self.warn(&folder, "this folder is not used: no application can have such a name");
                continue;
            };
            if let Some(Registered { folder: first, .. }) = applications.get(name) {
                let why = format!("this folder is not used: {} has an application of that name", first.display());
                self.warn(&folder, &why);
                continue;
            }
            let Contents { has_script, other_script, has_file, mut problems } = contents;
            let settings = if problems.is_empty() {
                self.application(&folder.join("Application.xml"), vhost, base)
                    .map_err(|found| problems.extend(found))
                    .ok()
            } else {
                None
            };
            let other_script = other_script.filter(|_| !has_script);
            let registered = match settings {
                Some(settings) if other_script.is_some() && settings.is_closed_without_script() => {
                    let script = other_script.unwrap_or_default();
                    let reason = format!("{script} is not run: scripts are written in Lua here (main.lua)");
                    self.warn(
                        &folder,
                        &format!(
                            "{reason}; this application rejects clients and lookups. ScriptEngine/OtherScripts `open` in its Application.xml runs it without a script"
                        ),
                    );
                    Registered { has_file, ..Registered::closed(vhost, folder.clone(), reason.into()) }
                }
                Some(mut settings) => {
                    if name == CATCH_ALL {
                        self.check_catch_all(&folder, vhost, &mut settings);
                    }
                    if let Some(script) = &other_script {
                        let without = match settings.plugins.is_empty() {
                            true => "this application is open without it",
                            false => "its plugins decide without it",
                        };
                        self.warn(
                            &folder,
                            &format!("{script} is not run: scripts are written in Lua here (main.lua); {without}"),
                        );
                    }
                    if settings.join_leave_events == JoinLeaveMode::All && settings.group_scope != GroupScope::Server {
                        let why =
                            "GroupControl/Scope has no effect with JoinLeaveEvents `All`: the script names members";
                        self.warn(&folder, why);
                    }
                    if has_script
                        && matches!(settings.relay_calls, RelayCallScope::Application | RelayCallScope::Instance)
                    {
                        let why = "RelayCalls has no effect: the application has a script, whose Client:relay is called if it has one";
                        self.warn(&folder, why);
                    }
                    if !has_script && settings.plugins.is_empty() {
                        self.warn_if_nothing_decides(&folder, &settings);
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
                    Registered { has_script, has_file, ..Registered::closed(vhost, folder.clone(), reason.into()) }
                }
            };
            applications.insert(name.to_owned(), registered);
        }
        applications
    }

    /// The application for all paths without a folder: what its settings say about one application means nothing here.
    fn check_catch_all(&mut self, folder: &Path, vhost: &Vhost, settings: &mut Arc<Application>) {
        if !vhost.accepts_unregistered {
            let why = "no client gets to this application, because the virtual host serves no application without a folder: \
                       UnregisteredApplications is `reject`, or a folder of AppsDir does not exist";
            self.warn(folder, why);
        }
        if settings.load_on_startup {
            let why = "LoadOnStartup has no effect here: the instances have the names that clients ask for";
            self.warn(folder, why);
            Arc::make_mut(settings).load_on_startup = false;
        }
    }

    /// An application without script and plugins that leaves to them what the server would do.
    fn warn_if_nothing_decides(&mut self, folder: &Path, settings: &Application) {
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
        let schema = ApplicationXml::schema();
        let tree = source::tree(file, schema, true, self.variables, &mut findings);
        let Some(tree) = tree.filter(|_| !findings.has_errors()) else {
            let problems = findings.into_vec();
            return if problems.is_empty() { Ok(Arc::clone(&vhost.defaults)) } else { Err(problems) };
        };
        let merged = overlay(schema, base, &tree, &mut findings);
        let found = RefCell::new(findings);
        let view = View::new(Some(&merged), &found);
        let application = Application::read(&view, self.root, vhost.idle_clients);
        let findings = found.into_inner();
        if findings.has_errors() {
            return Err(findings.into_vec());
        }
        self.findings.append(findings);
        Ok(Arc::new(application))
    }
}

/// What is in the folder of an application.
struct Contents {
    has_script: bool,
    /// The name of a script that Adobe's servers or others would run.
    other_script: Option<String>,
    has_file: bool,
    /// What cannot be made out.
    problems: Vec<Problem>,
}

impl Contents {
    /// `None` if it is no folder of an application.
    fn of(folder: &Path) -> Option<Self> {
        let mut contents = Self { has_script: false, other_script: None, has_file: false, problems: Vec::new() };
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
        contents.other_script = other_script(folder);
        contents.has_file = contents.has(&folder.join("Application.xml"));
        (contents.has_script || contents.other_script.is_some() || contents.has_file).then_some(contents)
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

/// The scripts of an application on Adobe's servers: source text, compiled, or an archive.
const OTHER_SCRIPTS: [&str; 5] = ["asc", "asg", "far", "ase", "as"];

/// The name of a script in the folder that this server does not run.
fn other_script(folder: &Path) -> Option<String> {
    let names = ["main".to_owned(), name_of(folder)];
    let files = names.iter().flat_map(|name| OTHER_SCRIPTS.map(|ending| format!("{name}.{ending}")));
    files.into_iter().find(|file| Presence::of(&folder.join(file)) != Presence::Absent)
}
