//! The application whose policies are asked about a lookup or a connect.

use std::sync::Arc;

use introd_config::{Application, LookupMode, Policy};
use introd_native::{Chain, InstancePath, PluginInstance};
use introd_policy::decision::DecidingApplication;
use introd_policy::{AppActor, InstanceId};

use crate::apps::{AppInstance, Applications};

/// An application instance, or the default application without one. Its plugins stay the same from the moment when the first of them was
/// asked, whatever the configuration says meanwhile.
#[derive(Clone)]
pub(super) struct AskedApplication {
    /// The plugins, in their order; `None` if there are none, so that lookups without plugins write no reference count that workers share.
    plugins: Option<Chain>,
    of: Of,
    mode: LookupMode,
    /// The place in the configuration of the adaptor that the request came through.
    pub(super) adaptor: usize,
}

#[derive(Clone)]
enum Of {
    Instance(Arc<AppInstance>),
    /// The default application of an adaptor, of which there is no instance.
    Default(Arc<DefaultApplication>),
}

struct DefaultApplication {
    name: String,
    settings: Arc<Application>,
}

impl AskedApplication {
    /// The application of an instance.
    pub(super) fn of(instance: &Arc<AppInstance>, adaptor: usize) -> Self {
        let chain = instance.plugins();
        let plugins = (!chain.is_empty()).then(|| Arc::clone(&chain));
        let mode = instance.lookup_mode();
        Self { plugins, of: Of::Instance(Arc::clone(instance)), mode, adaptor }
    }

    /// The default application of an adaptor: for lookups of peers that are not connected here, by askers that are no clients.
    pub(super) fn default_of(applications: &Applications, adaptor: usize) -> Self {
        let settings = applications.default_settings(adaptor);
        let mode = settings.peer_lookup_events;
        let plugins = applications.plugins().chain(&settings.plugins);
        let instance = match mode {
            LookupMode::None => None,
            _ => applications.default_instance(adaptor),
        };
        let of = match instance {
            Some(instance) => Of::Instance(instance),
            None => {
                // Only plugins are told the name of an application without an instance.
                let name = if plugins.is_empty() { String::new() } else { applications.default_application(adaptor) };
                Of::Default(Arc::new(DefaultApplication { name, settings }))
            }
        };
        Self { plugins: Some(plugins), of, mode, adaptor }
    }

    fn chain(&self) -> &[Arc<PluginInstance>] {
        self.plugins.as_ref().map_or(&[], |plugins| plugins)
    }

    /// The instance; `None` for the default application without one.
    pub(super) fn instance(&self) -> Option<&Arc<AppInstance>> {
        match &self.of {
            Of::Instance(instance) => Some(instance),
            Of::Default(_) => None,
        }
    }

    /// The plugin at that place.
    pub(super) fn plugin(&self, index: usize) -> Option<&Arc<PluginInstance>> {
        self.chain().get(index)
    }

    /// The first `count` plugins in the order in which they are asked.
    pub(super) fn first_plugins(&self, count: usize) -> impl Iterator<Item = &Arc<PluginInstance>> {
        self.chain().iter().take(count)
    }

    /// Whether a plugin is one of this application's.
    pub(super) fn has_plugin(&self, plugin: &Arc<PluginInstance>) -> bool {
        self.chain().iter().any(|known| Arc::ptr_eq(known, plugin))
    }

    /// How many lookups each asker may make in a second, if the application limits that.
    pub(super) fn max_lookup_rate(&self) -> Option<u64> {
        match &self.of {
            Of::Instance(instance) => instance.max_lookup_rate(),
            Of::Default(default) => default.settings.max_lookup_rate,
        }
    }

    /// The script, if the application has one.
    pub(super) fn script(&self) -> Option<&Arc<dyn AppActor>> {
        self.instance()?.actor()
    }

    /// The application and the instance, as plugins are told of them.
    pub(super) fn place(&self) -> InstancePath<'_> {
        match &self.of {
            Of::Instance(instance) => InstancePath::from(instance.name()),
            Of::Default(default) => InstancePath { application: &default.name, instance: "" },
        }
    }
}

impl DecidingApplication for AskedApplication {
    fn instance(&self) -> Option<InstanceId> {
        self.instance().map(|instance| instance.id())
    }

    fn plugins(&self) -> usize {
        self.chain().len()
    }

    fn has_script(&self) -> bool {
        self.script().is_some()
    }

    fn lookup_mode(&self) -> LookupMode {
        self.mode
    }

    fn policy(&self) -> Policy {
        match &self.of {
            Of::Instance(instance) => instance.settings().policy,
            Of::Default(default) => default.settings.policy,
        }
    }
}

#[cfg(test)]
mod tests {
    use introd_config::Config;

    use super::*;
    use crate::serve::testing::{request, services};

    #[test]
    fn the_default_application_is_asked_as_an_instance_only_where_its_policy_decides_about_lookups() {
        for (mode, is_instance) in [(LookupMode::None, false), (LookupMode::Partial, true), (LookupMode::All, true)] {
            let mut config = Config::built_in();
            let vhost = &mut config.default_adaptor.default_vhost;
            "hall".clone_into(&mut vhost.default_application);
            Arc::make_mut(&mut vhost.defaults).peer_lookup_events = mode;
            let services = services(&config, None, None);
            let of = || AskedApplication::default_of(&services.applications, 0);
            assert!(of().instance().is_none(), "there is none yet");
            let seat = services.applications.admit(0, &request("rtmfp://host/hall"), [127, 0, 0, 1].into()).unwrap();
            assert_eq!(of().instance().is_some_and(|own| Arc::ptr_eq(own, seat.instance())), is_instance, "{mode:?}");
            assert_eq!(of().lookup_mode(), mode);
        }
    }
}
