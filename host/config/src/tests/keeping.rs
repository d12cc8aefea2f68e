//! What the server finds broken later than the files: the application stays as it was, or rejects clients.

use std::time::Duration;

use super::Folder;
use super::closing::load;
use crate::{Config, Kept, LookupMode, Otherwise, Plugin, Registered};

/// Two adaptors, each with two virtual hosts, with the application `club` in each. `idle` tells one configuration from another, and
/// each of the four has an idle time of its own.
fn four(idle: u64) -> Config {
    let folder = Folder::new()
        .with("inside/Adaptor.xml", "<Adaptor><HostPortList><HostPort>:1936</HostPort></HostPortList></Adaptor>")
        .with("lua/club/main.lua", "")
        .with("lua/other/main.lua", "");
    for (number, (adaptor, vhost)) in (idle..).zip(FOUR) {
        let settings = format!("<Application><MaxAppIdleTime>{number}</MaxAppIdleTime></Application>");
        folder.put(&format!("{adaptor}/{vhost}/Vhost.xml"), "<VirtualHost/>");
        folder.put(&format!("{adaptor}/{vhost}/Application.xml"), settings);
    }
    load(&folder).unwrap().config
}

const FOUR: [(&str, &str); 4] = [
    ("_defaultRoot_", "_defaultVHost_"),
    ("_defaultRoot_", "b.example"),
    ("inside", "_defaultVHost_"),
    ("inside", "b.example"),
];

/// All applications, with their adaptors, virtual hosts and names.
fn all(config: &Config) -> Vec<(String, String, String, Registered)> {
    let entry = |(adaptor, vhost, name, registered): (&crate::Adaptor, &crate::Vhost, &str, &Registered)| {
        (adaptor.name.clone(), vhost.name.clone(), name.to_owned(), registered.clone())
    };
    config.registered().map(entry).collect()
}

/// Says that `club` of one virtual host is broken.
fn break_club(
    config: &mut Config,
    (adaptor, vhost): (&str, &str),
    old: Option<&Config>,
    otherwise: Otherwise,
) -> Vec<Kept> {
    config.keep_broken(old, otherwise, |its_adaptor, its_vhost, name, _| {
        let is_it = (its_adaptor.name.as_str(), its_vhost.name.as_str(), name) == (adaptor, vhost, "club");
        is_it.then(|| "it does not run".to_owned())
    })
}

fn kept((adaptor, vhost): (&str, &str), is_closed: bool) -> Kept {
    let (adaptor, vhost) = (adaptor.to_owned(), vhost.to_owned());
    Kept { adaptor, vhost, application: "club".into(), reason: "it does not run".into(), is_closed }
}

#[test]
fn an_application_that_breaks_stays_as_it_was_where_it_is() {
    let old = four(10);
    for (number, place) in (10..).zip(FOUR) {
        for otherwise in [Otherwise::Leave, Otherwise::Close] {
            let mut new = four(20);
            let before = all(&new);
            assert_eq!(break_club(&mut new, place, Some(&old), otherwise), [kept(place, false)]);
            let mut count = 0;
            for (before, after) in before.iter().zip(all(&new)) {
                let (adaptor, vhost, name, registered) = &after;
                if (adaptor.as_str(), vhost.as_str(), name.as_str()) == (place.0, place.1, "club") {
                    assert!(registered.is_kept && registered.closed.is_none());
                    assert_eq!(registered.settings.max_idle_time, Duration::from_secs(number), "{place:?}");
                    count += 1;
                } else {
                    assert_eq!(before, &after, "{place:?}: the others are not touched");
                }
            }
            assert_eq!((count, before.len()), (1, 8));
        }
    }
}

#[test]
fn one_that_did_not_work_before_is_closed_or_left_as_is_asked_for() {
    let place = FOUR[1];
    let mut without = four(10);
    let vhost = &mut without.default_adaptor.vhosts[0];
    vhost.applications.remove("club").unwrap();
    let mut closed = four(10);
    break_club(&mut closed, place, None, Otherwise::Close);
    for old in [None, Some(&without), Some(&closed)] {
        let mut new = four(20);
        let before = new.clone();
        assert_eq!(break_club(&mut new, place, old, Otherwise::Leave), []);
        assert_eq!(new, before);
        assert_eq!(break_club(&mut new, place, old, Otherwise::Close), [kept(place, true)]);
        let club = &new.default_adaptor.vhosts[0].applications["club"];
        assert_eq!(club.closed.as_deref(), Some("it does not run"));
        assert_eq!((club.is_kept, club.settings.peer_lookup_events), (false, LookupMode::Denied));
        new.default_adaptor.vhosts[0].applications.clear();
        let mut before = before;
        before.default_adaptor.vhosts[0].applications.clear();
        assert_eq!(new, before, "the others are not touched");
    }
}

#[test]
fn what_is_closed_or_kept_already_is_not_looked_at() {
    let old = four(10);
    let mut new = four(20);
    break_club(&mut new, FOUR[0], Some(&old), Otherwise::Close);
    break_club(&mut new, FOUR[3], None, Otherwise::Close);
    let looked_at = std::cell::RefCell::new(Vec::new());
    let broken = new.keep_broken(Some(&old), Otherwise::Close, |adaptor, vhost, name, _| {
        looked_at.borrow_mut().push((adaptor.name.clone(), vhost.name.clone(), name.to_owned()));
        None
    });
    assert_eq!(broken, []);
    let looked_at = looked_at.into_inner();
    let clubs: Vec<_> = looked_at.iter().filter(|it| it.2 == "club").map(|it| (it.0.as_str(), it.1.as_str())).collect();
    assert_eq!((clubs.as_slice(), looked_at.len()), (&FOUR[1..3], 6));
}

#[test]
fn applications_of_another_folder_are_not_those_that_are_gone() {
    let folder = Folder::new().with("lua/club/main.lua", "").with("lua2/other/main.lua", "");
    let old = load(&folder).unwrap();
    let vhost = "<VirtualHost><AppsDir>lua2</AppsDir></VirtualHost>";
    let folder = folder.with("_defaultRoot_/_defaultVHost_/Vhost.xml", vhost);
    let mut new = load(&folder).unwrap();
    let before = new.config.clone();
    assert_eq!(new.take_over(&old.config, &old.files).unwrap(), []);
    assert_eq!(new.config, before);
}

#[test]
fn applications_go_on_in_their_own_virtual_hosts() {
    let (old, mut folder) = (four(10), Folder::new().with("lua/other/main.lua", ""));
    folder = folder.with("_defaultRoot_/b.example/Vhost.xml", "<VirtualHost/>");
    let mut new = load(&folder).unwrap();
    // The applications of `old` were in another folder; here they are as if they had been in this one.
    let mut old = old;
    for adaptor in std::iter::once(&mut old.default_adaptor).chain(&mut old.adaptors) {
        for vhost in std::iter::once(&mut adaptor.default_vhost).chain(&mut adaptor.vhosts) {
            vhost.apps_dirs.clone_from(&new.config.default_adaptor.default_vhost.apps_dirs);
        }
    }
    let kept = new.take_over(&old, &[]).unwrap();
    let kept: Vec<_> = kept.iter().map(|kept| (kept.adaptor.as_str(), kept.vhost.as_str(), kept.is_closed)).collect();
    assert_eq!(kept, [(FOUR[0].0, FOUR[0].1, false), (FOUR[1].0, FOUR[1].1, false)]);
    let adaptor = &new.config.default_adaptor;
    let idle = [&adaptor.default_vhost, &adaptor.vhosts[0]].map(|vhost| vhost.application("club").max_idle_time);
    assert_eq!(idle, [10, 11].map(Duration::from_secs));
}

#[test]
fn each_plugin_is_listed_once_and_known_to_be_of_kept_applications_only() {
    let plugins = |names: &[&str]| {
        let list: String = names.iter().map(|name| format!("<Plugin path='{name}.so'/>")).collect();
        format!("<Application><Plugins>{list}</Plugins></Application>")
    };
    let folder = Folder::new()
        .with("lua/a/Application.xml", plugins(&["both", "kept"]))
        .with("lua/b/Application.xml", plugins(&["both", "free"]))
        .with("lua/c/Application.xml", plugins(&["kept", "both"]))
        .with("_defaultRoot_/_defaultVHost_/Application.xml", plugins(&["default"]))
        .with("lua/d/main.lua", "");
    let mut config = load(&folder).unwrap().config;
    let old = config.clone();
    let is_broken = |name: &str| matches!(name, "a" | "c" | "d").then(String::new);
    config.keep_broken(Some(&old), Otherwise::Close, |_, _, name, _| is_broken(name));
    let name = |plugin: &Plugin| plugin.path.file_stem().unwrap().to_string_lossy().into_owned();
    let listed: Vec<_> = config.plugins().map(|(plugin, is_kept)| (name(plugin), is_kept)).collect();
    let expected = [("both", false), ("kept", true), ("free", false), ("default", false)];
    assert_eq!(listed, expected.map(|(name, is_kept)| (name.to_owned(), is_kept)));
}
