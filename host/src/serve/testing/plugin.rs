//! A native plugin of which a test says what it does.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{CStr, c_void};
use std::path::Path;
use std::sync::Arc;

use introd_config::{Application, XmlSettings};
use introd_native::Plugins;
use introd_plugin::{
    AddressChange, AnyVerdict, Completion, Config, Connect, ConnectVerdict, CreateError, Disconnect, GroupEvent,
    GroupPlugin, GroupVerdict, Host, Later, Lookup, LookupVerdict, Plugin, Reply, Token, abi, glue,
};
use parking_lot::Mutex;

/// What a plugin does when it is asked.
pub(in crate::serve) enum Says<V> {
    Now(V),
    Later,
    Fails,
}

/// What a test says of a plugin, and what the plugin was told.
#[derive(Default)]
pub(in crate::serve) struct PluginScript {
    calls: Mutex<Vec<String>>,
    /// The answers to come. After the last one it agrees to everything.
    pub(in crate::serve) connects: Mutex<VecDeque<Says<ConnectVerdict>>>,
    pub(in crate::serve) lookups: Mutex<VecDeque<Says<LookupVerdict>>>,
    /// Here it fails by a panic.
    pub(in crate::serve) joins: Mutex<VecDeque<Says<GroupVerdict>>>,
    /// What it has put off.
    pub(in crate::serve) late_connects: Mutex<Vec<Completion<ConnectVerdict>>>,
    pub(in crate::serve) late_lookups: Mutex<Vec<Completion<LookupVerdict>>>,
}

impl PluginScript {
    /// Takes what the plugin was told.
    pub(in crate::serve) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock())
    }

    fn note(&self, call: String) {
        self.calls.lock().push(call);
    }
}

thread_local! {
    /// For the instance that is made next on this thread.
    static NEXT: RefCell<Arc<PluginScript>> = RefCell::default();
}

/// Adds a plugin under that path.
pub(super) fn add(plugins: &Plugins, path: &str) -> Arc<PluginScript> {
    let script = Arc::<PluginScript>::default();
    NEXT.set(Arc::clone(&script));
    plugins.add_own::<Scripted, Tables>(Path::new(path)).unwrap();
    script
}

/// Has an application ask the plugins under these paths.
pub(in crate::serve) fn with_plugins(settings: &mut Application, paths: &[&str]) {
    let plugin = |path: &&str| introd_config::Plugin { path: path.into(), config: XmlSettings::default() };
    settings.plugins = paths.iter().map(plugin).collect();
}

struct Scripted(Arc<PluginScript>);

fn answer<V: AnyVerdict>(
    says: Option<Says<V>>,
    otherwise: V,
    later: Later<'_, V>,
    late: &Mutex<Vec<Completion<V>>>,
) -> Reply<V> {
    match says {
        None => otherwise.into(),
        Some(Says::Now(verdict)) => verdict.into(),
        Some(Says::Fails) => Reply::Failed("as the test says".to_owned()),
        Some(Says::Later) => {
            let (completion, reply) = later.defer().unwrap();
            late.lock().push(completion);
            reply
        }
    }
}

impl Plugin for Scripted {
    const NAME: &'static str = "scripted";
    const VERSION: &'static str = "1";
    const DESCRIPTION: &'static str = "";

    fn create(_: Host, _: &Config<'_>) -> Result<Self, CreateError> {
        Ok(Self(NEXT.take()))
    }

    fn connect(&self, connect: &Connect<'_>, later: Later<'_, ConnectVerdict>) -> Reply<ConnectVerdict> {
        self.0.note(format!("connect {}/{} {}", connect.application(), connect.instance(), connect.far_address()));
        answer(self.0.connects.lock().pop_front(), ConnectVerdict::Accept, later, &self.0.late_connects)
    }

    fn disconnect(&self, disconnect: &Disconnect<'_>) {
        self.0.note(format!("disconnect {}: {}", disconnect.application(), disconnect.reason()));
    }

    fn addresses_changed(&self, change: &AddressChange<'_>) {
        let reported = change.reported().map(|addresses| addresses.map(|address| address.port()).collect::<Vec<_>>());
        self.0.note(format!("address {} {} {reported:?}", change.far_address(), change.far_address_changed()));
    }

    fn lookup(&self, lookup: &Lookup<'_>, later: Later<'_, LookupVerdict>) -> Reply<LookupVerdict> {
        let asker = if lookup.asker().is_some() { "a client" } else { "a stranger" };
        let flags = [lookup.target_is_local(), lookup.is_for_target(), lookup.is_asked_again()];
        let (of, home) = (lookup.application(), lookup.asker_application());
        let again = if lookup.attempt() > 1 { format!(", attempt {}", lookup.attempt()) } else { String::new() };
        self.0.note(format!("lookup of {of} by {asker} of {home}: {flags:?}{again}"));
        answer(self.0.lookups.lock().pop_front(), LookupVerdict::Continue, later, &self.0.late_lookups)
    }

    fn cancel(&self, _: Token) {
        self.0.note("cancel".to_owned());
    }
}

impl GroupPlugin for Scripted {
    fn join(&self, event: &GroupEvent<'_>) -> GroupVerdict {
        self.0.note(format!("join {} {}", event.application(), event.len()));
        match self.0.joins.lock().pop_front() {
            None => GroupVerdict::Continue,
            Some(Says::Now(verdict)) => verdict,
            Some(_) => panic!("as the test says"),
        }
    }

    fn leave(&self, event: &GroupEvent<'_>) {
        self.0.note(format!("leave {} {}", event.application(), event.len()));
    }
}

struct Tables;

impl glue::Extensions for Tables {
    fn table(id: &CStr) -> *const c_void {
        if id == abi::INTROD_EXT_GROUPS { glue::groups_table::<Scripted>() } else { std::ptr::null() }
    }
}
