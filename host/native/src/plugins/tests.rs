//! The plugins of a server: which instances are made, found, kept and ended.

mod reload;
mod stopping;

use std::sync::mpsc::{self, Receiver};

use ::introd_plugin::abi::*;

use super::*;
use crate::tests::fake::{Fake, creating};
use crate::tests::files::Folder;

/// A guard for tests that would hang otherwise.
pub(super) const FOR_EVER: Duration = Duration::from_secs(3600);

pub(super) fn plugins() -> Plugins {
    Plugins::new(Arc::new(Replies::new(1, |_| ())))
}

/// A configuration with this text.
pub(super) fn settings(text: &str) -> XmlSettings {
    XmlSettings { text: text.to_owned(), children: Vec::new() }
}

pub(super) fn plugin(path: &Path, text: &str) -> Plugin {
    Plugin { path: path.to_owned(), config: settings(text) }
}

/// A server whose applications have these plugins.
pub(super) fn config(plugins: &[Plugin]) -> Config {
    let mut config = Config::built_in();
    Arc::make_mut(&mut config.default_adaptor.default_vhost.defaults).plugins = plugins.to_vec();
    config
}

/// Puts these plugins in force, as a server does. Gives their instances, and what was made.
pub(super) fn load(plugins: &Plugins, wanted: &[Plugin]) -> (Chain, Vec<&'static Fake>) {
    let (prepared, made) = creating(|_, _| INTROD_OK, || plugins.prepare(&config(wanted)).unwrap());
    plugins.add(&prepared);
    let chain = plugins.chain(wanted);
    plugins.keep(prepared);
    (chain, made)
}

/// Tells of each callback from now on, which takes the time that `work` takes.
pub(super) fn told(fake: &'static Fake, work: impl Fn() + Send + 'static) -> Receiver<()> {
    let (sender, receiver) = mpsc::channel();
    fake.does(move |_, _| {
        let _ = sender.send(());
        work();
        INTROD_OK
    });
    receiver
}

#[test]
fn a_chain_has_the_instances_of_an_application_in_its_order() {
    let (folder, plugins) = (Folder::new(), plugins());
    let (a, b) = (folder.plugin("a"), folder.plugin("b"));
    let all = [plugin(&a, "1"), plugin(&a, "2"), plugin(&b, "1")];
    let (chain, made) = load(&plugins, &all);
    let is = |chain: &Chain, expected: &[usize]| {
        let found: Vec<_> = chain.iter().map(|instance| std::ptr::from_ref(instance.fake())).collect();
        found == expected.iter().map(|number| std::ptr::from_ref(made[*number])).collect::<Vec<_>>()
    };
    assert!(made.len() == 3 && is(&chain, &[0, 1, 2]));
    assert!(is(&plugins.chain(&[all[2].clone(), all[1].clone()]), &[2, 1]));
    assert!(is(&plugins.chain(&[plugin(&b, "2"), all[0].clone()]), &[0]), "what was not prepared is left out");
    assert!(plugins.chain(&[]).is_empty());
    assert_eq!(made[1].config.trim(), "<Config>2</Config>");
    assert_eq!(made[1].root, config(&[]).root.to_string_lossy());
    assert_eq!(plugins.instances().len(), 3);
}

#[test]
fn what_plugins_cost_is_counted_by_plugin() {
    let (folder, plugins) = (Folder::new(), plugins());
    let path = folder.plugin("a");
    let registry = folder.registry("r");
    let (chain, _) = load(&plugins, &[plugin(&path, "1"), plugin(&path, "2")]);
    let (registry, fakes) =
        creating(|_, _| INTROD_OK, || plugins.registry(&registry, &settings("r"), Path::new("/"), None).unwrap());
    for instance in chain.iter().chain([registry.instance()]) {
        instance.charge(crate::Callback::Lookup, Duration::from_micros(10_001));
    }
    fakes[0].does(|_, _| INTROD_E_FULL);
    registry.instance().withdraw(&rtmfp::PeerId([1; 32]));
    let metrics = || {
        let all = plugins
            .metrics()
            .into_iter()
            .filter(|metric| metric.name.ends_with("calls") || metric.name.ends_with("failures"));
        all.map(|metric| (metric.name, metric.is_gauge, metric.value)).collect::<Vec<_>>()
    };
    let expected = [
        ("plugin_fake_calls", 2),
        ("plugin_fake_call_failures", 0),
        ("plugin_fake_slow_calls", 2),
        ("plugin_fake_registry_calls", 2),
        ("plugin_fake_registry_call_failures", 1),
        ("plugin_fake_registry_slow_calls", 1),
    ]
    .map(|(name, value)| (name.to_owned(), false, value));
    assert_eq!(metrics(), expected);
    let micros = plugins.metrics().into_iter().find(|metric| metric.name == "plugin_fake_call_microseconds");
    assert_eq!(micros.map(|metric| metric.value), Some(20_002));
    // A registry that is used no more does not count; after a stop everything stays as it was counted.
    drop((registry, chain));
    assert_eq!(metrics(), expected[..3]);
    plugins.stop();
    assert_eq!((metrics().as_slice(), plugins.instances().len()), (&expected[..3], 0));
}

#[test]
fn a_registry_is_a_plugin_with_the_table_for_it() {
    let (folder, plugins) = (Folder::new(), plugins());
    let find =
        |path: &Path| plugins.registry(path, &settings(""), Path::new("/"), None).map(|_| ()).unwrap_err().to_string();
    let plain = folder.plugin("plain");
    let expected = format!("plugin fake ({}) keeps no registry: it has no introd.registry/1", plain.display());
    let (error, made) = creating(|_, _| INTROD_OK, || find(&plain));
    assert_eq!((error, made.len()), (expected, 0), "no instance is made of it");
    assert!(find(&folder.path().join("none")).contains("No such file"));
    let registry = folder.registry("registry");
    let (error, _) = creating(|_, _| INTROD_E_UNAVAILABLE, || find(&registry));
    assert!(error.ends_with("could not be made: what it needs cannot be reached"), "{error}");
}

#[test]
fn plugins_reach_the_server_once_they_are_told_of_it() {
    let (folder, plugins) = (Folder::new(), plugins());
    let (_chain, made) = load(&plugins, &[plugin(&folder.plugin("a"), "1")]);
    let disconnect = || {
        let client = introd_client { id: 7, peer: crate::values::NO_PEER };
        // SAFETY: the table is the host's, and the client is valid for the call.
        unsafe { (made[0].functions().disconnect.unwrap())(made[0].host, &raw const client) }
    };
    assert_eq!(disconnect(), INTROD_E_ARGUMENT);
    let server = Arc::clone(&crate::tests::bench::Bench::new().server);
    let access: Weak<dyn ServerAccess> = Arc::<crate::tests::bench::Server>::downgrade(&server);
    plugins.set_server_access(access);
    assert_eq!(disconnect(), INTROD_OK);
    assert_eq!(*server.asked.lock().unwrap(), ["disconnect 7 0"]);
}

#[test]
fn a_wait_ends_when_something_is_done_or_late() {
    use std::cell::Cell;

    let (now, looked) = (Instant::now(), Cell::new(0));
    let look = |at| {
        looked.set(looked.get() + 1);
        looked.get() >= at
    };
    assert!(wait_until(now, || look(1)), "it is done already");
    looked.set(0);
    assert!(!wait_until(now, || look(2)), "it is late");
    assert_eq!(looked.replace(0), 1);
    assert!(wait_until(now + FOR_EVER, || look(3)));
    assert_eq!(looked.get(), 3);
}
