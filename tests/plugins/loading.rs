//! Libraries that are loaded, rejected, and replaced.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use introd_config::{Config, Plugin, Registered};
use introd_native::{Library, Plugins};
use introd_plugin::abi::{INTROD_ABI_MAJOR, INTROD_ABI_MINOR};
use introd_policy::Verdict;
use introd_tests::cargo::profile_folder;
use introd_tests::libraries::library;

use crate::bench::{Bench, ask, c_plugin, config, load, settings};

fn refusal(path: &Path) -> String {
    Library::load(path)
        .map(|_| ())
        .expect_err("it is of no use")
        .to_string()
        .replace(&path.display().to_string(), "FILE")
}

fn refused(name: &str, definitions: &[&str]) -> String {
    refusal(&c_plugin("misbehaving.c", name, definitions))
}

#[test]
fn a_refusal_says_why() {
    assert_eq!(refusal(Path::new("/nonexistent.so")), "FILE: No such file or directory (os error 2)");
    assert_eq!(refusal(Path::new("/tmp")), "FILE: it is a folder and no regular file");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/c/misbehaving.c").canonicalize().unwrap();
    assert_eq!(refusal(&source), "FILE cannot be loaded: it is no shared library (ELF)");
    assert_eq!(
        refused("other-entry", &["ENTRY=something_else"]),
        "FILE is no introd plugin: it does not export introd_plugin_entry_v1"
    );
    let other = format!(
        "FILE is for hosts of ABI version 2, and this one has ABI version {INTROD_ABI_MAJOR}.{INTROD_ABI_MINOR}: rebuild the plugin for it"
    );
    assert_eq!(refused("entry-2", &["ENTRY=introd_plugin_entry_v2"]), other);
    assert_eq!(refused("table-2", &["TABLE_MAJOR=2"]), other);
    assert_eq!(refused("short", &["TABLE_SIZE=16"]), "FILE: its table has 16 bytes, and needs 128 at least");
    assert_eq!(refused("no-table", &["NO_TABLE"]), "FILE refuses to work with this host");
    assert_eq!(refused("no-create", &["NO_CREATE"]), "FILE: its table has no `create` or no `destroy`");
    let name = "FILE: its name is not made of letters, digits, `-` and `_`, or is longer than 64 of them";
    assert_eq!(refused("bad-name", &["NAME=\"two words\""]), name);
    assert_eq!(refused("no-name", &["NAME=\"\""]), name);
}

/// Writes a library like this one, changed.
fn changed(library: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let path = library.with_file_name(name);
    let mut bytes = std::fs::read(library).unwrap();
    change(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_library_that_the_system_does_not_load_says_what_to_do() {
    let undefined = refused("undefined", &["UNDEFINED=nothing_has_this"]);
    assert_eq!(
        undefined,
        "FILE cannot be loaded: undefined symbol: nothing_has_this: it is not linked with the library that has it, or with another \
         version of that"
    );

    let good = c_plugin("misbehaving.c", "whole", &[]);
    // The processor stands in the two bytes at 18 of an ELF header.
    let other = changed(&good, "libother-machine.so", |bytes| bytes[18..20].copy_from_slice(&[243, 0]));
    let text = refusal(&other);
    assert!(text.starts_with("FILE cannot be loaded: it is built for RISC-V, and this server runs on "), "{text}");

    // A library that needs another one, which is gone.
    let folder = good.parent().unwrap();
    let needed = c_plugin("misbehaving.c", "needed-by-another", &["ENTRY=something_else"]);
    let source = folder.join("needs.c");
    std::fs::write(&source, "void something_else(void); void needs(void) { something_else(); }\n").unwrap();
    let needs = folder.join("libneeds.so");
    let mut cc = std::process::Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).arg(&needs).arg(&source).arg("-L").arg(folder).arg("-lneeded-by-another");
    assert!(cc.status().unwrap().success());
    std::fs::remove_file(needed).unwrap();
    assert_eq!(
        refusal(&needs),
        "FILE cannot be loaded: it needs the library libneeded-by-another.so, which is not on this machine: install it, or set \
         LD_LIBRARY_PATH"
    );

    let cut = changed(&good, "libcut.so", |bytes| bytes.truncate(30));
    let text = refusal(&cut);
    assert!(text.starts_with("FILE cannot be loaded: "), "{text}");
}

#[test]
fn a_plugin_that_cannot_be_created_says_why() {
    for (name, definition, why) in [
        ("fails", "CREATE_FAILS=\"no licence\"", "no licence"),
        ("fails-mute", "CREATE_FAILS=\"\"", "what it needs cannot be reached"),
    ] {
        let Err(error) = Bench::try_new(c_plugin("misbehaving.c", name, &[definition]), &[]) else { panic!("made") };
        let error = error.to_string();
        assert!(
            error.starts_with("plugin misbehaving (") && error.ends_with(&format!("could not be made: {why}")),
            "{error}"
        );
    }
    let Err(error) = Bench::try_new(library("puppet"), &[("panic", "create")]) else { panic!("made") };
    assert!(error.to_string().ends_with("could not be made: it panicked"), "{error}");
}

#[test]
fn a_panic_in_any_callback_is_contained() {
    // `create` is above; `cancel`, `disconnect`, `addresses_changed` and `connect` have their tests with the whole server.
    let bench = Bench::new(library("puppet"), &[("lookup", "panic")]);
    assert_eq!(bench.verdict(1), Verdict::Failed("it panicked".to_owned()));
    assert!(bench.instance.is_disabled());

    let bench = Bench::new(library("puppet"), &[("lookup", "never"), ("panic", "cancel")]);
    let (token, _) = bench.pending(1);
    assert!(bench.instance.cancel(token));
    assert!(bench.instance.is_disabled());

    let (session, peer) = (rtmfp::SessionId::from_wire(1), rtmfp::PeerId([1; 32]));
    let place = introd_native::InstancePath { application: "app", instance: "room" };
    let bench = Bench::new(library("puppet"), &[("panic", "disconnect")]);
    bench.instance.disconnect(session, peer, place, "gone");
    assert!(bench.instance.is_disabled());

    let bench = Bench::new(library("puppet"), &[("panic", "addresses_changed")]);
    bench.instance.addresses_changed(session, peer, place, "192.0.2.1:1".parse().unwrap(), None);
    assert!(bench.instance.is_disabled());

    let bench = Bench::new(library("puppet"), &[("panic", "on_timer"), ("timer", "1")]);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !bench.instance.is_disabled() {
        assert!(std::time::Instant::now() < deadline, "the timer does not run out");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }

    let Bench { plugins, instance, .. } = Bench::new(library("puppet"), &[("panic", "destroy")]);
    drop(instance);
    plugins.stop();
}

#[test]
fn the_same_configuration_keeps_its_instance() {
    let plugins = Plugins::new(crate::bench::replies());
    let path = library("puppet");
    let with = |verdict: &str| config(&[(path.clone(), settings(&[("lookup", verdict)]))]);
    let first = load(&plugins, &with("deny")).unwrap();
    let again = load(&plugins, &with("deny")).unwrap();
    assert!(Arc::ptr_eq(&first[0], &again[0]));
    let other = load(&plugins, &with("ignore")).unwrap();
    assert!(!Arc::ptr_eq(&first[0], &other[0]));
    assert_eq!(ask(&first[0], 1), introd_native::PluginAnswer::Verdict(Verdict::Deny(None)), "who has it may finish");
    assert!(load(&plugins, &config(&[("/nonexistent.so".into(), settings(&[]))])).is_err());
    assert_eq!(plugins.instances().len(), 1, "a configuration that is of no use changes nothing");
}

#[test]
fn an_application_with_an_unusable_plugin_keeps_its_old_one_or_is_closed_and_others_run() {
    let plugins = Plugins::new(crate::bench::replies());
    let with = |applications: &[(&str, PathBuf)]| {
        let mut config = config(&[]);
        let vhost = &mut config.default_adaptor.default_vhost;
        for (name, path) in applications {
            let mut settings = vhost.defaults.as_ref().clone();
            settings.plugins = vec![Plugin { path: path.clone(), config: crate::bench::settings(&[("lookup", name)]) }];
            vhost.applications.insert((*name).to_owned(), Registered::new((*name).into(), Arc::new(settings)));
        }
        config
    };
    let missing = || PathBuf::from("/nonexistent.so");
    let (good, library) = (library("puppet"), library("puppet"));
    let mut old = with(&[("deny", good.clone()), ("ignore", missing())]);
    let (prepared, kept) = plugins.prepare_or_close(&mut old, None).unwrap();
    let said: Vec<String> = kept.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        ["application ignore rejects clients: ignore: /nonexistent.so: No such file or directory (os error 2)"]
    );
    plugins.keep(prepared);
    let applications = |config: &Config| config.default_adaptor.default_vhost.applications.clone();
    assert!(applications(&old)["ignore"].closed.is_some() && applications(&old)["ignore"].settings.plugins.is_empty());
    assert!(applications(&old)["deny"].closed.is_none());
    let before = plugins.instances();
    assert_eq!(before.len(), 1);

    let mut new = with(&[("deny", missing()), ("ignore", missing()), ("continue", library)]);
    let (prepared, kept) = plugins.prepare_or_close(&mut new, Some(&old)).unwrap();
    plugins.add(&prepared);
    plugins.keep(prepared);
    let outcomes: Vec<(&str, bool)> = kept.iter().map(|kept| (kept.application.as_str(), kept.is_closed)).collect();
    assert_eq!(outcomes, [("deny", false), ("ignore", true)]);
    let chain = plugins.chain(&applications(&new)["deny"].settings.plugins);
    assert!(Arc::ptr_eq(&chain[0], &before[0]), "the plugin that it has");
    assert_eq!(plugins.instances().len(), 2);
}

#[test]
fn a_new_version_is_loaded_beside_the_old() {
    let folder = profile_folder().join(format!("plugin-tests-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("libreplaced.so");
    let plugins = Plugins::new(crate::bench::replies());
    let config = config(&[(path.clone(), settings(&[]))]);
    std::fs::copy(c_plugin("misbehaving.c", "version-a", &["NAME=\"version-a\""]), &path).unwrap();
    let old = load(&plugins, &config).unwrap();
    // As installers do: another file under the same name.
    let new = c_plugin("misbehaving.c", "version-b", &["NAME=\"version-b\"", "NO_CALLBACKS"]);
    std::fs::rename(new, &path).unwrap();
    let new = load(&plugins, &config).unwrap();
    assert_eq!((old[0].library().name(), new[0].library().name()), ("version-a", "version-b"));
    let verdict = |chain: &introd_native::Chain| ask(&chain[0], 2);
    assert_eq!(verdict(&old), introd_native::PluginAnswer::Verdict(Verdict::Deny(None)), "the old one still runs");
    assert_eq!(verdict(&new), introd_native::PluginAnswer::Verdict(Verdict::Continue));
}

#[test]
fn a_plugin_that_has_panicked_is_made_anew_at_a_reload() {
    let plugins = Plugins::new(crate::bench::replies());
    let config = config(&[(library("puppet"), settings(&[("lookup", "panic")]))]);
    let first = load(&plugins, &config).unwrap();
    ask(&first[0], 1);
    assert!(first[0].is_disabled());
    let second = load(&plugins, &config).unwrap();
    assert!(!Arc::ptr_eq(&first[0], &second[0]) && !second[0].is_disabled());
    // So it is for an application whose files are broken, and which stays as it was.
    ask(&second[0], 1);
    let with = |path: PathBuf| {
        let mut config = crate::bench::config(&[]);
        let vhost = &mut config.default_adaptor.default_vhost;
        let mut app = vhost.defaults.as_ref().clone();
        app.plugins = vec![Plugin { path, config: settings(&[("lookup", "panic")]) }];
        vhost.applications.insert("app".to_owned(), Registered::new("app".into(), Arc::new(app)));
        config
    };
    let (old, mut new) = (with(library("puppet")), with("/nonexistent.so".into()));
    let (prepared, kept) = plugins.prepare_or_close(&mut new, Some(&old)).unwrap();
    assert!(kept.len() == 1 && !kept[0].is_closed);
    plugins.add(&prepared);
    plugins.add(&prepared);
    let all = plugins.instances();
    assert_eq!(all.iter().filter(|instance| !instance.is_disabled()).count(), 1, "it is added once");
    plugins.keep(prepared);
}

#[test]
fn an_instance_ends_when_it_is_replaced_and_when_the_server_stops() {
    let plugins = Plugins::new(crate::bench::replies());
    let with = |verdict: &str| config(&[(library("puppet"), settings(&[("lookup", verdict)]))]);
    let weak = |chain: &introd_native::Chain| Arc::downgrade(&chain[0]);
    let first = weak(&load(&plugins, &with("deny")).unwrap());
    let second = weak(&load(&plugins, &with("ignore")).unwrap());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while first.upgrade().is_some() {
        assert!(std::time::Instant::now() < deadline, "it is replaced, and does not end");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(second.upgrade().is_some_and(|instance| instance.account().calls() == 0));
    let calls =
        |plugins: &Plugins| plugins.metrics().iter().filter(|metric| metric.name == "plugin_puppet_calls").count();
    assert_eq!(calls(&plugins), 1);
    plugins.stop();
    assert!(second.upgrade().is_none());
    assert_eq!((calls(&plugins), plugins.instances().len()), (1, 0), "what was counted is there after the stop");
}
