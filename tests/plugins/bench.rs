//! A host for plugins, without a server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use introd_config::{Config, Plugin, XmlSettings};
use introd_native::{Chain, Instance, LoadError, LookupEvent, Outcome, Place, Plugins, Verdict};
use introd_tests::libraries::{c_library, include};
use rtmfp::crypto::Epd;
use rtmfp::{InterfaceId, Lookup, PeerId};

/// A C file of this folder as a library.
pub(crate) fn c_plugin(file: &str, name: &str, definitions: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/c").join(file);
    c_library(&source, &include(), name, definitions)
}

/// Elements with texts.
pub(crate) fn settings(elements: &[(&str, &str)]) -> XmlSettings {
    let text = |text: &str| XmlSettings { text: text.to_owned(), children: Vec::new() };
    let children = elements.iter().map(|(name, content)| ((*name).to_owned(), text(content))).collect();
    XmlSettings { text: String::new(), children }
}

/// A configuration with these plugins.
pub(crate) fn config(plugins: &[(PathBuf, XmlSettings)]) -> Config {
    let mut config = Config::built_in();
    let plugins = plugins.iter().map(|(path, config)| Plugin { path: path.clone(), config: config.clone() });
    Arc::make_mut(&mut config.default_adaptor.default_vhost.defaults).plugins = plugins.collect();
    config
}

/// Has plugins hold as a server does at its start and at reloads.
pub(crate) fn load(plugins: &Plugins, config: &Config) -> Result<Chain, LoadError> {
    let prepared = plugins.prepare(config)?;
    plugins.add(&prepared);
    let chain = plugins.chain(&config.default_adaptor.default_vhost.defaults.plugins);
    plugins.keep(prepared);
    Ok(chain)
}

/// One plugin with a host of its own.
pub(crate) struct Bench {
    pub(crate) plugins: Plugins,
    pub(crate) instance: Arc<Instance>,
}

impl Bench {
    pub(crate) fn new(library: PathBuf, elements: &[(&str, &str)]) -> Self {
        Self::try_new(library, elements).expect("a plugin")
    }

    pub(crate) fn try_new(library: PathBuf, elements: &[(&str, &str)]) -> Result<Self, LoadError> {
        let plugins = Plugins::new(1);
        let chain = load(&plugins, &config(&[(library, settings(elements))]))?;
        let instance = chain.first().map(Arc::clone).expect("it is there");
        Ok(Self { plugins, instance })
    }

    /// Asks about a lookup of the peer whose id is this byte and zeros.
    pub(crate) fn ask(&self, target: u8) -> Outcome {
        ask(&self.instance, target)
    }

    /// The verdict, at once.
    pub(crate) fn verdict(&self, target: u8) -> Verdict {
        match self.ask(target) {
            Outcome::Verdict(verdict) => verdict,
            Outcome::Pending(token) => panic!("token {token}"),
        }
    }

    /// The token, and what has come under it.
    pub(crate) fn pending(&self, target: u8) -> (u64, Vec<Verdict>) {
        let Outcome::Pending(token) = self.ask(target) else { panic!("not pending") };
        let completions = self.plugins.completions(0);
        (token, completions.into_iter().filter(|(of, _)| *of == token).map(|(_, verdict)| verdict).collect())
    }

    /// The value of a metric of the plugin.
    pub(crate) fn metric(&self, name: &str) -> i64 {
        let plugin = self.instance.library().name().replace('-', "_");
        let name = format!("plugin_{plugin}_{name}");
        let metrics = self.plugins.metrics();
        let metric = metrics.iter().find(|metric| metric.name == name);
        metric.unwrap_or_else(|| panic!("no {name} in {metrics:?}")).value
    }
}

pub(crate) fn ask(instance: &Instance, target: u8) -> Outcome {
    let mut id = [0; 32];
    id[0] = target;
    let lookup = Lookup {
        target: Some(PeerId(id)),
        epd: Epd::fingerprint(PeerId(id))[..].into(),
        initiator: "192.0.2.77:1935".parse().expect("an address"),
        tag: [5u8; 16][..].into(),
        interface: InterfaceId(0),
        asker: None,
        received: 68,
    };
    let place = Place { application: "app", instance: "room" };
    let event = LookupEvent {
        lookup: &lookup,
        asker: None,
        is_local: false,
        place,
        home: None,
        is_consent: false,
        is_asked_again: false,
    };
    instance.lookup(0, event)
}
