//! What is broken or gone never opens a door: at the start the application is closed, at a reload the old one stays.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::Folder;
use crate::load::Loader;
use crate::{Kept, Loaded, LookupMode, Problems, Registered};

const SETTINGS: &str = "<Application><RTMFP><PeerLookupEvents mode='All'/></RTMFP></Application>";

/// A folder with an application `club` that has a script and settings.
fn club() -> Folder {
    Folder::new().with("lua/club/main.lua", "").with("lua/club/Application.xml", SETTINGS)
}

pub(super) fn load(folder: &Folder) -> Result<Loaded, Problems> {
    Loader { dir: &folder.conf(), root: folder.0.path(), environment: &|_| None }.load()
}

pub(super) fn registered<'a>(loaded: &'a Loaded, name: &str) -> Option<&'a Registered> {
    loaded.config.default_adaptor.default_vhost.applications.get(name)
}

/// What happens to the files of an application.
type Change = (&'static str, fn(&Path));

fn replace(path: PathBuf, make: impl FnOnce(&Path)) {
    let remove = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    remove.unwrap();
    make(&path);
}

fn fifo(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

const BROKEN: [Change; 9] = [
    ("is not XML", |club| fs::write(club.join("Application.xml"), "<Application>").unwrap()),
    ("has a wrong value", |club| {
        fs::write(club.join("Application.xml"), "<Application><MaxAppIdleTime>soon</MaxAppIdleTime></Application>")
            .unwrap();
    }),
    ("is empty", |club| fs::write(club.join("Application.xml"), "").unwrap()),
    ("is not UTF-8", |club| fs::write(club.join("Application.xml"), b"<Application>\xff</Application>").unwrap()),
    ("is a folder", |club| replace(club.join("Application.xml"), |path| fs::create_dir(path).unwrap())),
    ("is a FIFO", |club| replace(club.join("Application.xml"), fifo)),
    ("leads nowhere", |club| replace(club.join("Application.xml"), |path| symlink("/nonexistent", path).unwrap())),
    ("script is a folder", |club| replace(club.join("main.lua"), |path| fs::create_dir(path).unwrap())),
    ("folder leads nowhere", |club| replace(club.to_owned(), |path| symlink("/nonexistent", path).unwrap())),
];

const GONE: [Change; 3] = [
    ("settings are gone", |club| fs::remove_file(club.join("Application.xml")).unwrap()),
    ("script is gone", |club| fs::remove_file(club.join("main.lua")).unwrap()),
    ("application is gone", |club| fs::remove_dir_all(club).unwrap()),
];

#[test]
fn a_broken_application_is_closed_at_the_start() {
    for (what, change) in BROKEN {
        let folder = club();
        change(&folder.0.path().join("lua/club"));
        let loaded = load(&folder).unwrap();
        let club = registered(&loaded, "club").unwrap_or_else(|| panic!("{what}: the application is not there"));
        assert!(club.closed.is_some(), "{what}");
        assert_eq!(club.settings.peer_lookup_events, LookupMode::Denied, "{what}");
        assert_eq!(loaded.broken.len(), 1, "{what}");
    }
}

#[test]
fn a_working_application_stays_whole_when_its_files_break_or_go() {
    for (what, change) in BROKEN.into_iter().chain(GONE) {
        let folder = club();
        let old = load(&folder).unwrap();
        assert_eq!(registered(&old, "club").unwrap().closed, None);
        change(&folder.0.path().join("lua/club"));
        folder.put("lua/other/main.lua", "");
        let mut new = load(&folder).unwrap();
        let kept = new.take_over(&old.config, &old.files).unwrap();
        let [Kept { application, is_closed: false, .. }] = kept.as_slice() else { panic!("{what}: {kept:?}") };
        assert_eq!(application, "club", "{what}");
        assert!(kept[0].to_string().starts_with("application club keeps its old settings: "), "{what}: {}", kept[0]);
        let (before, after) = (registered(&old, "club").unwrap(), registered(&new, "club").unwrap());
        assert!(std::sync::Arc::ptr_eq(&before.settings, &after.settings), "{what}");
        assert!(after.is_kept && after.closed.is_none(), "{what}");
        assert!(registered(&new, "other").is_some(), "{what}: the rest is taken on");
        // The next reload finds it as broken as before, and keeps it again.
        let mut again = load(&folder).unwrap();
        assert_eq!(again.take_over(&new.config, &new.files).unwrap().len(), 1, "{what}");
    }
}

#[test]
fn an_application_that_comes_broken_is_closed_at_a_reload() {
    let folder = Folder::new();
    let old = load(&folder).unwrap();
    folder.put("lua/club/Application.xml", "<Application>");
    let mut new = load(&folder).unwrap();
    let kept = new.take_over(&old.config, &old.files).unwrap();
    assert!(kept[0].is_closed && kept[0].to_string().starts_with("application club rejects clients: "), "{kept:?}");
    assert!(registered(&new, "club").unwrap().closed.is_some());
}

#[test]
fn any_other_file_that_goes_keeps_the_old_configuration_as_a_whole() {
    for (path, text) in [
        ("Server.xml", "<Root/>"),
        ("introd.ini", "A = b\n"),
        ("_defaultRoot_/Adaptor.xml", "<Adaptor><Deny>192.0.2.1</Deny></Adaptor>"),
        ("_defaultRoot_/_defaultVHost_/Vhost.xml", "<VirtualHost/>"),
        ("_defaultRoot_/_defaultVHost_/Application.xml", "<Application/>"),
        ("_defaultRoot_/games.example/Vhost.xml", "<VirtualHost/>"),
    ] {
        let folder = Folder::new().with(path, text);
        let old = load(&folder).unwrap();
        fs::remove_file(folder.conf().join(path)).unwrap();
        let problems = load(&folder).unwrap().take_over(&old.config, &old.files).unwrap_err();
        assert!(problems.to_string().contains(&format!("{path}: error: the file was there and is gone")), "{problems}");
    }
}

#[test]
fn a_link_that_leads_nowhere_is_not_taken_for_no_file() {
    for path in ["Server.xml", "_defaultRoot_/Adaptor.xml", "_defaultRoot_/_defaultVHost_/Vhost.xml"] {
        let folder = Folder::new();
        let path = folder.conf().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink("/nonexistent", &path).unwrap();
        assert!(
            load(&folder).unwrap_err().to_string().contains("it is a link that leads nowhere"),
            "{}",
            path.display()
        );
    }
}

#[test]
fn applications_that_cannot_be_listed_keep_the_server_from_starting() {
    let folder = Folder::new();
    fs::write(folder.0.path().join("lua"), "").unwrap();
    let problems = load(&folder).unwrap_err().to_string();
    assert!(problems.contains("lua: error: the folder cannot be listed: "), "{problems}");
}

#[test]
fn what_is_closed_is_named_by_its_own_folder() {
    let folder = Folder::new()
        .with("_defaultRoot_/_defaultVHost_/Vhost.xml", "<VirtualHost><AppsDir>lua/one;lua/two</AppsDir></VirtualHost>")
        .with("lua/one/a/main.lua", "")
        .with("lua/two/b/Application.xml", "<Application>");
    let loaded = load(&folder).unwrap();
    let closed = registered(&loaded, "b").unwrap();
    assert_eq!((&closed.folder, closed.closed.is_some()), (&folder.0.path().join("lua/two/b"), true));
    // One that comes broken at a reload, too.
    folder.put("lua/two/c/Application.xml", "<Application>");
    let mut new = load(&folder).unwrap();
    new.take_over(&loaded.config, &loaded.files).unwrap();
    assert_eq!(registered(&new, "c").unwrap().folder, folder.0.path().join("lua/two/c"));
}

#[test]
fn a_folder_that_no_client_can_ask_for_is_told() {
    let folder = Folder::new().with("lua/a\\b/main.lua", "");
    let loaded = load(&folder).unwrap();
    assert!(registered(&loaded, "a\\b").is_none());
    assert!(loaded.warnings[0].to_string().contains("no application can have such a name"), "{:?}", loaded.warnings);
}
