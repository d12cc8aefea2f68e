//! Another configuration: which instances stay, which are made, and what becomes of applications whose plugins cannot be loaded.

use introd_config::Registered;

use super::*;

/// A server whose applications of these names have such a plugin each.
fn applications(all: &[(&str, Plugin)]) -> Config {
    let mut config = config(&[]);
    let vhost = &mut config.default_adaptor.default_vhost;
    for (name, plugin) in all {
        let mut settings = vhost.defaults.as_ref().clone();
        settings.plugins = vec![plugin.clone()];
        vhost.applications.insert((*name).to_owned(), Registered::new((*name).into(), Arc::new(settings)));
    }
    config
}

fn is_closed(config: &Config, application: &str) -> bool {
    config.default_adaptor.default_vhost.applications[application].closed.is_some()
}

/// Has an instance panic.
fn panics(instance: &PluginInstance) {
    instance.fake().does(|_, _| INTROD_E_PANIC);
    instance.tell_of_a_disconnect();
    assert!(instance.is_disabled());
}

#[test]
fn an_instance_stays_while_its_file_and_its_configuration_do() {
    let (folder, plugins) = (Folder::new(), plugins());
    let path = folder.plugin("a");
    let (first, _) = load(&plugins, &[plugin(&path, "1")]);
    let (again, made) = load(&plugins, &[plugin(&path, "1")]);
    assert!(Arc::ptr_eq(&first[0], &again[0]) && made.is_empty());
    let (other, made) = load(&plugins, &[plugin(&path, "2")]);
    assert!(!Arc::ptr_eq(&first[0], &other[0]) && made.len() == 1);
    // Another library takes the place of the file.
    std::fs::write(&path, "another").unwrap();
    folder.replace("a");
    let (newer, made) = load(&plugins, &[plugin(&path, "2")]);
    assert!(!Arc::ptr_eq(&other[0], &newer[0]) && made.len() == 1);
    let other_path = folder.plugin("b");
    let (both, made) = load(&plugins, &[plugin(&path, "2"), plugin(&other_path, "2")]);
    assert!(Arc::ptr_eq(&newer[0], &both[0]) && made.len() == 1 && plugins.instances().len() == 2);
}

#[test]
fn an_instance_that_has_panicked_is_made_anew() {
    let (folder, plugins) = (Folder::new(), plugins());
    let wanted = [plugin(&folder.plugin("a"), "1")];
    let (first, _) = load(&plugins, &wanted);
    panics(&first[0]);
    let (second, made) = load(&plugins, &wanted);
    assert!(made.len() == 1 && !second[0].is_disabled());
}

#[test]
fn a_new_instance_is_found_before_an_old_one_of_the_same_configuration_and_is_added_once() {
    let (folder, plugins) = (Folder::new(), plugins());
    let wanted = [plugin(&folder.plugin("a"), "1")];
    let (first, _) = load(&plugins, &wanted);
    panics(&first[0]);
    let (prepared, made) = creating(|_, _| INTROD_OK, || plugins.prepare(&config(&wanted)).unwrap());
    assert!(Arc::ptr_eq(&plugins.chain(&wanted)[0], &first[0]), "what is prepared is not found yet");
    plugins.add(&prepared);
    plugins.add(&prepared);
    assert!(std::ptr::eq(plugins.chain(&wanted)[0].fake(), made[0]));
    assert_eq!(plugins.instances().len(), 2, "the old one stays until it is said which do");
    plugins.keep(prepared);
    let instances = plugins.instances();
    assert!(instances.len() == 1 && std::ptr::eq(instances[0].fake(), made[0]));
}

#[test]
fn an_instance_that_is_kept_is_not_ended_and_another_one_is_when_nobody_uses_it() {
    let (folder, plugins) = (Folder::new(), plugins());
    let path = folder.plugin("a");
    let (chain, made) = load(&plugins, &[plugin(&path, "kept"), plugin(&path, "gone")]);
    let ended = [0, 1].map(|number| told(made[number], || ()));
    load(&plugins, &[plugin(&path, "kept")]);
    assert_eq!(made[1].calls(), [""; 0], "it is used");
    drop(chain);
    assert_eq!(ended[1].recv_timeout(FOR_EVER), Ok(()));
    assert!(ended[0].try_recv().is_err());
    drop(plugins);
    assert_eq!((made[0].calls(), made[1].calls()), (vec!["destroy".to_owned()], vec!["destroy".to_owned()]));
}

#[test]
fn a_configuration_with_a_plugin_that_cannot_be_made_changes_nothing() {
    let (folder, plugins) = (Folder::new(), plugins());
    let (good, missing) = (plugin(&folder.plugin("a"), "1"), plugin(&folder.path().join("none"), "1"));
    let (first, _) = load(&plugins, std::slice::from_ref(&good));
    let error = |wanted: &[Plugin]| plugins.prepare(&config(wanted)).map(|_| ()).unwrap_err().to_string();
    assert!(error(&[good, missing.clone()]).contains("No such file"));
    let two = [plugin(&folder.plugin("b"), "1"), missing];
    let (text, _) = creating(|_, _| INTROD_E_UNAVAILABLE, || error(&two));
    assert!(text.contains("could not be made"), "that of the first: {text}");
    assert!(Arc::ptr_eq(&plugins.instances()[0], &first[0]) && plugins.instances().len() == 1);
}

#[test]
fn an_application_whose_plugin_cannot_be_made_is_closed_and_the_others_get_one_instance_each() {
    let (folder, plugins) = (Folder::new(), plugins());
    let (good, missing) = (plugin(&folder.plugin("a"), "1"), plugin(&folder.path().join("none"), "1"));
    let mut wanted = applications(&[("good", good), ("bad", missing.clone()), ("worse", missing)]);
    let (result, made) = creating(|_, _| INTROD_OK, || plugins.prepare_or_close(&mut wanted, None));
    let (prepared, kept) = result.unwrap();
    assert_eq!((made.len(), prepared.0.len()), (1, 1), "it is not made again because another has failed");
    assert!(std::ptr::eq(prepared.0[0].instance.fake(), made[0]));
    let said: Vec<String> = kept.iter().map(ToString::to_string).collect();
    let why = format!("{}: No such file or directory (os error 2)", folder.path().join("none").display());
    let expected = ["bad", "worse"].map(|name| format!("application {name} rejects clients: {name}: {why}"));
    assert_eq!(said, expected);
    assert!(is_closed(&wanted, "bad") && is_closed(&wanted, "worse") && !is_closed(&wanted, "good"));
    assert_eq!(made[0].calls(), [""; 0]);
}

#[test]
fn where_all_plugins_can_be_made_nothing_is_closed() {
    let (folder, plugins) = (Folder::new(), plugins());
    let mut wanted = applications(&[("good", plugin(&folder.plugin("a"), "1"))]);
    let (prepared, kept) = plugins.prepare_or_close(&mut wanted, None).unwrap();
    assert!(kept.is_empty() && prepared.0.len() == 1 && !is_closed(&wanted, "good"));
}

#[test]
fn what_a_virtual_host_gives_to_all_its_applications_must_be_there() {
    let (folder, plugins) = (Folder::new(), plugins());
    let mut wanted = config(&[plugin(&folder.path().join("none"), "1")]);
    assert!(plugins.prepare_or_close(&mut wanted, None).is_err());
}

#[test]
fn an_application_whose_new_plugin_cannot_be_made_keeps_its_instance_unless_that_has_panicked() {
    let (folder, plugins) = (Folder::new(), plugins());
    let (path, missing) = (folder.plugin("a"), plugin(&folder.path().join("none"), "1"));
    let old = applications(&[("app", plugin(&path, "1")), ("other", plugin(&path, "2"))]);
    let (prepared, _) = plugins.prepare_or_close(&mut old.clone(), None).unwrap();
    plugins.keep(prepared);
    // Its file is broken meanwhile, which concerns nobody who has an instance.
    std::fs::write(&path, "broken").unwrap();
    let reload = || {
        let mut new = applications(&[("app", missing.clone()), ("other", missing.clone())]);
        let (result, made) = creating(|_, _| INTROD_OK, || plugins.prepare_or_close(&mut new, Some(&old)));
        let (prepared, kept) = result.unwrap();
        assert!(kept.len() == 2 && !is_closed(&new, "app") && !is_closed(&new, "other"));
        (prepared, made)
    };
    let (prepared, made) = reload();
    assert!(made.is_empty());
    plugins.add(&prepared);
    plugins.keep(prepared);
    let instances = plugins.instances();
    let configs: Vec<_> = instances.iter().map(|instance| instance.fake().config.trim().to_owned()).collect();
    assert_eq!(configs, ["<Config>1</Config>", "<Config>2</Config>"]);
    panics(&instances[0]);
    folder.replace("a");
    let (prepared, made) = reload();
    assert!(made.len() == 1 && prepared.0.iter().all(|live| !live.instance.is_disabled()));
    assert!(Arc::ptr_eq(&prepared.0[1].instance, &instances[1]));
}
