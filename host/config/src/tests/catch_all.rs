//! The application that serves all paths without a folder.

use super::Folder;
use super::closing::load;
use crate::{CATCH_ALL, Loaded, LookupMode, Vhost};

const SETTINGS: &str = "<Application><RTMFP><PeerLookupEvents mode='All'/></RTMFP></Application>";

fn catch_all() -> Folder {
    Folder::new().with("lua/_default_/main.lua", "").with("lua/_default_/Application.xml", SETTINGS)
}

fn vhost(loaded: &Loaded) -> &Vhost {
    &loaded.config.default_adaptor.default_vhost
}

fn warnings(loaded: &Loaded) -> String {
    loaded.warnings.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn it_serves_each_name_without_a_folder_and_none_that_has_one() {
    let loaded = load(&catch_all().with("lua/chat/main.lua", "")).unwrap();
    let vhost = vhost(&loaded);
    for (name, served_by, mode) in [
        ("anything", CATCH_ALL, LookupMode::All),
        ("_definst_", CATCH_ALL, LookupMode::All),
        ("chat", "chat", LookupMode::None),
    ] {
        let (by, registered) = vhost.served_by(name).unwrap();
        assert_eq!((by, registered.has_script), (served_by, true));
        assert_eq!((vhost.application(name).peer_lookup_events, vhost.accepts(name)), (mode, true), "{name}");
    }
    assert!(!vhost.accepts(CATCH_ALL), "no client connects to it by its own name");
    assert_eq!(warnings(&loaded), "");
    let nothing = load(&Folder::new()).unwrap();
    assert!(super::catch_all::vhost(&nothing).served_by("anything").is_none());
    assert!(!super::catch_all::vhost(&nothing).accepts(CATCH_ALL));
}

#[test]
fn it_is_closed_if_it_is_broken_and_stays_as_it_was_at_a_reload() {
    let folder = catch_all();
    let old = load(&folder).unwrap();
    folder.put("lua/_default_/Application.xml", "<Application>");
    let mut new = load(&folder).unwrap();
    let (_, broken) = vhost(&new).served_by("anything").unwrap();
    assert!(broken.closed.is_some());
    assert_eq!(vhost(&new).application("anything").peer_lookup_events, LookupMode::Denied);
    new.take_over(&old.config, &old.files).unwrap();
    let (_, kept) = vhost(&new).served_by("anything").unwrap();
    assert!(kept.is_kept && kept.closed.is_none());
    assert_eq!(vhost(&new).application("anything").peer_lookup_events, LookupMode::All);
}

#[test]
fn settings_that_mean_nothing_there_are_told() {
    let folder = catch_all()
        .with("lua/_default_/Application.xml", "<Application><LoadOnStartup>true</LoadOnStartup></Application>");
    let loaded = load(&folder).unwrap();
    assert!(
        warnings(&loaded).contains("_default_: warning: LoadOnStartup has no effect here"),
        "{}",
        warnings(&loaded)
    );
    assert!(!vhost(&loaded).application("anything").load_on_startup);
    let rejects = "<VirtualHost><UnregisteredApplications>reject</UnregisteredApplications></VirtualHost>";
    let loaded = load(&catch_all().with("_defaultRoot_/_defaultVHost_/Vhost.xml", rejects)).unwrap();
    assert!(warnings(&loaded).contains("no client gets to this application"), "{}", warnings(&loaded));
    assert!(!vhost(&loaded).accepts("anything"));
    // The settings hold all the same: an instance that has clients keeps them at a reload.
    assert_eq!(vhost(&loaded).application("anything").peer_lookup_events, LookupMode::All);
}
