//! The application that serves all paths without a folder.

use std::path::PathBuf;
use std::sync::Arc;

use introd_config::{Application, CATCH_ALL, Config, LookupMode, Registered};
use introd_policy::{AppActor, AppActors, Opening};
use parking_lot::Mutex;

use super::{Idle, localhost, plugins, request};
use crate::apps::{Applications, Refusal, Seat};

/// Makes policies, and knows of each which instance it is for and in which folder its script is.
#[derive(Default)]
struct Opened(Mutex<Vec<(String, PathBuf)>>);

impl AppActors for Opened {
    fn open(&self, Opening { name, folder, .. }: Opening<'_>) -> Option<Arc<dyn AppActor>> {
        self.0.lock().push((name.to_string(), folder.to_owned()));
        Some(Arc::new(Idle))
    }
}

/// Adds an application with a script in the folder of its name.
fn add(config: &mut Config, name: &str, mode: LookupMode) {
    let vhost = &mut config.default_adaptor.default_vhost;
    let mut settings = Application::clone(&vhost.defaults);
    settings.peer_lookup_events = mode;
    let registered = Registered { has_script: true, ..Registered::new(name.into(), Arc::new(settings)) };
    vhost.applications.insert(name.to_owned(), registered);
}

fn with_catch_all() -> (Arc<Applications>, Arc<Opened>) {
    let (mut config, opened) = (Config::built_in(), Arc::new(Opened::default()));
    add(&mut config, CATCH_ALL, LookupMode::All);
    add(&mut config, "chat", LookupMode::None);
    (Arc::new(Applications::new(config, Some(Arc::clone(&opened) as _), plugins())), opened)
}

fn visit(applications: &Arc<Applications>, path: &str) -> Result<Seat, Refusal> {
    applications.admit(0, &request(&format!("rtmfp://host/{path}")), localhost())
}

#[test]
fn each_name_is_an_application_of_its_own_with_the_script_of_the_catch_all_one() {
    let (applications, opened) = with_catch_all();
    let seats = ["key", "key/room", "other", "chat", ""].map(|path| visit(&applications, path).unwrap());
    let names = seats.each_ref().map(|seat| seat.instance().name().to_string());
    assert_eq!(names, ["key/_definst_", "key/room", "other/_definst_", "chat/_definst_", "_definst_/_definst_"]);
    let folders: Vec<PathBuf> = opened.0.lock().iter().map(|(_, folder)| folder.clone()).collect();
    assert_eq!(folders, [CATCH_ALL, CATCH_ALL, CATCH_ALL, "chat", CATCH_ALL].map(PathBuf::from));
    let modes = seats.each_ref().map(|seat| seat.instance().lookup_mode());
    let all = LookupMode::All;
    assert_eq!(modes, [all, all, all, LookupMode::None, all]);
    assert_eq!(visit(&applications, CATCH_ALL).err(), Some(Refusal::NoApplication(CATCH_ALL.to_owned())));
    assert_eq!(visit(&applications, "_default_/room").err(), Some(Refusal::NoApplication(CATCH_ALL.to_owned())));
}

#[test]
fn a_catch_all_application_that_is_closed_rejects_the_clients_of_all_names() {
    let (applications, _) = with_catch_all();
    let mut config = Config::clone(&applications.config());
    let closed = config.default_adaptor.default_vhost.applications.get_mut(CATCH_ALL).unwrap();
    closed.closed = Some("broken".into());
    applications.reconfigure(config);
    assert!(matches!(visit(&applications, "key").err(), Some(Refusal::Closed { .. })));
    assert!(visit(&applications, "chat").is_ok());
}

#[test]
fn the_bounds_on_instances_hold_for_names_that_clients_choose() {
    let (applications, _) = with_catch_all();
    let mut config = Config::clone(&applications.config());
    config.default_adaptor.default_vhost.max_app_instances_per_address = Some(3);
    applications.reconfigure(config);
    let seats: Vec<Seat> = (0..3).map(|name| visit(&applications, &format!("name{name}")).unwrap()).collect();
    assert!(matches!(visit(&applications, "name3").err(), Some(Refusal::TooManyInstancesOf(_))));
    assert!(visit(&applications, "name0").is_ok());
    drop(seats);
    assert!(visit(&applications, "name3").is_ok(), "an idle one makes room");
}

#[test]
fn who_comes_after_an_application_has_got_a_script_gets_an_instance_with_it() {
    let opened = Arc::new(Opened::default());
    let applications = Arc::new(Applications::new(Config::built_in(), Some(Arc::clone(&opened) as _), plugins()));
    let before = visit(&applications, "club").unwrap();
    assert!(before.instance().actor().is_none());
    let mut config = Config::clone(&applications.config());
    add(&mut config, "club", LookupMode::All);
    applications.reconfigure(config);
    let after = visit(&applications, "club").unwrap();
    assert!(after.instance().actor().is_some() && !Arc::ptr_eq(before.instance(), after.instance()));
    let again = visit(&applications, "club").unwrap();
    assert!(Arc::ptr_eq(after.instance(), again.instance()));
    assert_eq!((applications.instances(), applications.clients()), (1, 3));
    // Those of before are bound by the new settings, and have no script that would consent.
    assert_eq!(before.instance().lookup_mode(), LookupMode::All);
    let number = before.instance().id();
    drop(before);
    assert!(applications.instance(number).is_none());
    assert_eq!(opened.0.lock().len(), 1);
}

#[test]
fn an_instance_with_clients_keeps_its_script_and_settings_when_its_name_gets_a_folder() {
    let (applications, opened) = with_catch_all();
    let seat = visit(&applications, "key").unwrap();
    let mut config = Config::clone(&applications.config());
    add(&mut config, "key", LookupMode::None);
    applications.reconfigure(config);
    assert_eq!(seat.instance().lookup_mode(), LookupMode::All, "no settings without the script that belongs to them");
    let more = visit(&applications, "key").unwrap();
    assert!(Arc::ptr_eq(seat.instance(), more.instance()));
    drop((seat, more));
    let seat = visit(&applications, "key").unwrap();
    assert_eq!(seat.instance().lookup_mode(), LookupMode::None);
    let last = opened.0.lock().last().cloned();
    assert_eq!(last, Some(("key/_definst_".to_owned(), "key".into())));
}
