//! A host for plugins, without a server.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use introd_config::{Config, Plugin, XmlSettings};
use introd_native::{Chain, InstancePath, LoadError, LookupEvent, PluginAnswer, PluginInstance, Plugins};
use introd_policy::{Replies, Reply, RequestId, Verdict};
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
    // Dropped before the plugins, whose end waits for it.
    pub(crate) instance: Arc<PluginInstance>,
    pub(crate) plugins: Plugins,
    replies: Arc<Replies>,
}

impl Bench {
    pub(crate) fn new(library: PathBuf, elements: &[(&str, &str)]) -> Self {
        Self::try_new(library, elements).expect("a plugin")
    }

    pub(crate) fn try_new(library: PathBuf, elements: &[(&str, &str)]) -> Result<Self, LoadError> {
        Self::with(library, settings(elements))
    }

    /// As [`Self::new`], with a configuration of any form.
    pub(crate) fn with(library: PathBuf, settings: XmlSettings) -> Result<Self, LoadError> {
        let replies = replies();
        let plugins = Plugins::new(Arc::clone(&replies));
        let chain = load(&plugins, &config(&[(library, settings)]))?;
        let instance = chain.first().map(Arc::clone).expect("it is there");
        Ok(Self { instance, plugins, replies })
    }

    /// Asks about a lookup of the peer whose id is this byte and zeros.
    pub(crate) fn ask(&self, target: u8) -> PluginAnswer {
        ask(&self.instance, target)
    }

    /// The replies that have come since the last time.
    pub(crate) fn replies(&self) -> Vec<(RequestId, Reply)> {
        self.replies.take(0)
    }

    /// The verdict, at once.
    pub(crate) fn verdict(&self, target: u8) -> Verdict {
        match self.ask(target) {
            PluginAnswer::Verdict(verdict) => verdict,
            PluginAnswer::Pending(token) => panic!("token {token}"),
        }
    }

    /// The verdict of a plugin that has decided about the lookup for the asker's application already.
    pub(crate) fn verdict_again(&self, target: u8) -> Verdict {
        match ask_as(&self.instance, next_request(), target, true) {
            PluginAnswer::Verdict(verdict) => verdict,
            PluginAnswer::Pending(token) => panic!("token {token}"),
        }
    }

    /// The token, and the verdicts that have come.
    pub(crate) fn pending(&self, target: u8) -> (u64, Vec<Verdict>) {
        let request = next_request();
        let PluginAnswer::Pending(token) = ask_as(&self.instance, request, target, false) else {
            panic!("not pending")
        };
        let verdicts = self.replies().into_iter().filter(|(of, _)| *of == request).map(|(_, reply)| match reply {
            Reply::Verdict(verdict) => verdict,
            other @ Reply::Resolved(_) => panic!("{other:?}"),
        });
        (token, verdicts.collect())
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

/// A way for replies to one worker, which nothing wakes.
pub(crate) fn replies() -> Arc<Replies> {
    Arc::new(Replies::new(1, |_| ()))
}

fn next_request() -> RequestId {
    static LAST: AtomicU64 = AtomicU64::new(1);
    RequestId::from_number(LAST.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn ask(instance: &PluginInstance, target: u8) -> PluginAnswer {
    ask_as(instance, next_request(), target, false)
}

fn ask_as(instance: &PluginInstance, request: RequestId, target: u8, is_asked_again: bool) -> PluginAnswer {
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
    let place = InstancePath { application: "app", instance: "room" };
    let event = LookupEvent {
        lookup: &lookup,
        asker: None,
        is_local: false,
        place,
        home: None,
        is_consent: false,
        is_asked_again,
        attempt: 1,
    };
    instance.lookup(request, event)
}
