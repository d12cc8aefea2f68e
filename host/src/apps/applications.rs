//! The applications of a server: their instances, and the settings of each instance.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use introd_config::{Access, Application, Config, LookupMode, LookupsFrom, Registered, Vhost};
use introd_native::Plugins;
use introd_policy::message::AppEvent;
use introd_policy::{AppActor, AppActors, FormerInstance, InstanceId, InstanceName, Opening, Totals};
use parking_lot::{Mutex, MutexGuard, RwLock};
use slab::Slab;

use super::door::{Door, adaptor_at};
use super::guards::Guards;
use super::instance::AppInstance;
use super::refusal::Refusal;
use super::table::{Among, Table};
use super::traffic::Traffic;
use super::wanted::Wanted;

/// The applications of a server, shared by its workers.
pub struct Applications {
    config: ArcSwap<Config>,
    table: Mutex<Table>,
    /// The instances by their numbers.
    pub(super) by_id: RwLock<Slab<Arc<AppInstance>>>,
    /// The number of all clients of the server.
    clients: AtomicU64,
    /// Creates the policies of instances.
    pub(super) actors: Option<Arc<dyn AppActors>>,
    /// The native plugins of all applications.
    plugins: Arc<Plugins>,
    /// The instances that have a say in introductions to their clients.
    guards: Guards,
    /// Whether the access rules of any adaptor deny addresses.
    has_adaptor_rules: AtomicBool,
}

impl Applications {
    /// Applications without instances. `plugins` has the plugins that the configuration names.
    pub fn new(config: Config, actors: Option<Arc<dyn AppActors>>, plugins: Arc<Plugins>) -> Self {
        Self {
            actors,
            plugins,
            guards: Guards::default(),
            has_adaptor_rules: AtomicBool::new(has_adaptor_rules(&config)),
            config: ArcSwap::from_pointee(config),
            table: Mutex::default(),
            by_id: RwLock::default(),
            clients: AtomicU64::new(0),
        }
    }

    /// For how long scripts have kept their threads busy, all together, since the server started.
    pub fn script_time(&self) -> Duration {
        self.actors.as_ref().map_or(Duration::ZERO, |actors| actors.time())
    }

    /// The present configuration.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Puts another configuration in force, for the existing instances too. Clients stay. Its plugins must have been added to
    /// [`Self::plugins`].
    pub fn reconfigure(&self, config: Config) {
        let config = Arc::new(config);
        self.config.store(Arc::clone(&config));
        self.has_adaptor_rules.store(has_adaptor_rules(&config), Ordering::Release);
        for instance in self.table().all() {
            let settings = settings_of(&config, instance.name());
            // An unchanged application keeps its script as it is. An application that rejects clients from now on leaves its present
            // clients the settings under which they connected.
            // So does one whose script is another one now: the clients keep the script that they have.
            if Arc::ptr_eq(&settings, &instance.settings())
                || settings.peer_lookup_events == LookupMode::Denied
                || !instance.runs_script_of(registered_of(&config, instance.name()))
            {
                instance.set_door(Door::of(&config, instance.name()));
                self.guards.set(instance.id(), instance.has_say());
                continue;
            }
            let plugins = self.plugins.chain(&settings.plugins);
            instance.reconfigure(settings, plugins, Door::of(&config, instance.name()));
            self.guards.set(instance.id(), instance.has_say());
        }
        self.end_without_script(&config);
    }

    /// Ends the instances that have no script, and whose applications have one now: who comes from now on gets an instance with the script.
    fn end_without_script(&self, config: &Arc<Config>) {
        let mut table = self.table();
        let lacks_script =
            |instance: &&Arc<AppInstance>| self.lacks_script(instance, registered_of(config, instance.name()));
        let instances: Vec<_> = table.all().filter(lacks_script).cloned().collect();
        for instance in instances {
            let clients = instance.clients();
            if clients > 0 {
                tracing::warn!(
                    app = %instance.name(),
                    clients,
                    "the application has a script now, which is asked about clients that come from now on. Those that are there stay without it: if \
                     the script is to decide about lookups of them, they are introduced to nobody until they connect again"
                );
            }
            self.end(&mut table, &instance);
        }
    }

    fn lacks_script(&self, instance: &AppInstance, application: Option<&Registered>) -> bool {
        self.actors.is_some() && instance.lacks_script_of(application)
    }

    /// The instances that have a say in introductions to their clients.
    pub fn guards(&self) -> &Guards {
        &self.guards
    }

    /// Whether the access rules of any adaptor deny addresses. This costs one read of memory.
    pub fn has_adaptor_rules(&self) -> bool {
        self.has_adaptor_rules.load(Ordering::Acquire)
    }

    /// Whether the access rules of an adaptor, given by its position in the configuration, permit an address.
    pub fn adaptor_permits(&self, adaptor: usize, ip: IpAddr) -> bool {
        adaptor_at(&self.config.load(), adaptor).access.permits(ip)
    }

    /// Whether a lookup without a client as asker or target is refused whatever a policy would say: by the access rules
    /// of the adaptor and its default virtual host, or because the default application answers clients only.
    pub fn bars_strangers(&self, adaptor: usize, ip: IpAddr) -> bool {
        let config = self.config.load();
        let adaptor = adaptor_at(&config, adaptor);
        let vhost = &adaptor.default_vhost;
        vhost.application(&vhost.default_application).lookups_from == LookupsFrom::Clients
            || !adaptor.access.permits(ip)
            || !vhost.access.permits(ip)
    }

    /// The instance of that number, if it still exists.
    pub fn instance(&self, InstanceId(id): InstanceId) -> Option<Arc<AppInstance>> {
        self.by_id.read().get(usize::from(id)).cloned()
    }

    /// The settings for lookups without a client as asker or target: they are those of the default application of an adaptor.
    pub fn default_settings(&self, adaptor: usize) -> Arc<Application> {
        let config = self.config.load();
        let vhost = &config.all_adaptors().nth(adaptor).unwrap_or(&config.default_adaptor).default_vhost;
        Arc::clone(vhost.application(&vhost.default_application))
    }

    /// The name of the default application of an adaptor.
    pub fn default_application(&self, adaptor: usize) -> String {
        let config = self.config.load();
        let adaptor = config.all_adaptors().nth(adaptor).unwrap_or(&config.default_adaptor);
        adaptor.default_vhost.default_application.clone()
    }

    /// The native plugins of all applications.
    pub fn plugins(&self) -> &Arc<Plugins> {
        &self.plugins
    }

    /// The first instance of the default application of an adaptor, if it exists.
    pub fn default_instance(&self, adaptor: usize) -> Option<Arc<AppInstance>> {
        let config = self.config.load();
        let adaptor = config.all_adaptors().nth(adaptor).unwrap_or(&config.default_adaptor);
        let vhost = &adaptor.default_vhost;
        let name = InstanceName::first(&adaptor.name, &vhost.name, &vhost.default_application);
        self.table().get(&name).cloned()
    }

    /// How many clients are connected.
    pub fn clients(&self) -> u64 {
        self.clients.load(Ordering::Relaxed)
    }

    /// All instances, in the order of their numbers. The list is a copy: instances may end meanwhile.
    pub fn all_instances(&self) -> Vec<Arc<AppInstance>> {
        self.by_id.read().iter().map(|(_, instance)| Arc::clone(instance)).collect()
    }

    /// How many instances there are.
    pub fn instances(&self) -> usize {
        self.table().len()
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock()
    }

    /// Adds a client to the instance that is wanted, which is created if it does not exist.
    pub(super) fn enter(&self, wanted: Wanted<'_>) -> Result<Arc<AppInstance>, Refusal> {
        let mut table = self.table();
        if wanted.limits.connections.is_some_and(|max| table.clients(&wanted.name) >= max) {
            return Err(Refusal::TooManyConnections);
        }
        let instance = self.open(&mut table, wanted)?;
        table.wait_no_more(&instance);
        table.enter(instance.name());
        instance.enter();
        self.clients.fetch_add(1, Ordering::Relaxed);
        Ok(instance)
    }

    /// The instance that is wanted, which is created if it does not exist.
    pub(super) fn open(&self, table: &mut Table, wanted: Wanted<'_>) -> Result<Arc<AppInstance>, Refusal> {
        if let Some(instance) = table.get(&wanted.name).cloned() {
            let is_outdated = instance.clients() == 0 && !instance.runs_script_of(wanted.registered)
                || self.lacks_script(&instance, wanted.registered);
            if !is_outdated && !instance.actor().is_some_and(|actor| actor.is_over()) {
                return Ok(instance);
            }
            // Its policy has ended and its clients are leaving, or its application has another script: a client that comes now gets a new
            // instance.
            self.end(table, &instance);
        }
        self.make_room(table, &wanted)?;
        let Wanted { name, settings, registered, maker, taken_over, .. } = wanted;
        let traffic = Arc::new(Traffic::default());
        let actor = self.actor_of(&name, &settings, registered, &traffic, taken_over)?;
        let mut by_id = self.by_id.write();
        let slot = by_id.vacant_entry();
        let Ok(id) = u16::try_from(slot.key()).map(InstanceId) else { return Err(Refusal::TooManyInstances) };
        let plugins = self.plugins.chain(&settings.plugins);
        let door = Door::of(&self.config(), &name);
        let policy = actor.zip(registered.map(|registered| registered.folder.clone()));
        let instance = AppInstance::new(id, name, settings, plugins, policy, door, maker).counted_by(traffic);
        let instance = Arc::new(instance);
        self.guards.set(id, instance.has_say());
        slot.insert(Arc::clone(&instance));
        table.add(&instance);
        Ok(instance)
    }

    /// The policy for a new instance, if its application has one. An application with a script does not run without its script.
    fn actor_of(
        &self,
        name: &InstanceName,
        settings: &Arc<Application>,
        registered: Option<&Registered>,
        traffic: &Arc<Traffic>,
        taken_over: Option<FormerInstance>,
    ) -> Result<Option<Arc<dyn AppActor>>, Refusal> {
        let Some((actors, registered)) = self.actors.as_ref().zip(registered) else { return Ok(None) };
        let totals = Arc::clone(traffic) as Arc<dyn Totals>;
        let actor = actors.open(Opening { name, folder: &registered.folder, settings, totals: &totals, taken_over });
        if actor.is_none() && registered.has_script {
            let reason = format!("{}: its script is gone, or cannot be started", registered.folder.display());
            return Err(Refusal::Closed { application: name.application.clone(), reason: reason.into() });
        }
        Ok(actor)
    }

    /// Takes an instance out of the table, and tells its policy to end. Clients that it still has find it by its number until they are gone:
    /// no other instance has that number before.
    pub(super) fn end(&self, table: &mut Table, instance: &AppInstance) {
        if table.remove(instance)
            && let Some(actor) = instance.actor()
        {
            let _ = actor.tell(AppEvent::Stop);
        }
        let (mut by_id, place) = (self.by_id.write(), usize::from(instance.id().0));
        if instance.clients() == 0 && by_id.get(place).is_some_and(|known| std::ptr::eq(&**known, instance)) {
            by_id.remove(place);
        }
    }

    /// Takes a client out of an instance. The instance ends with its last client, unless it has a policy: then it waits for others.
    pub(super) fn leave(&self, instance: &Arc<AppInstance>) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
        let mut table = self.table();
        let is_empty = instance.leave() == 0;
        table.leave(instance.name());
        // A script that does not load is loaded again for the next client, since it may have been mended by then.
        let is_of_no_use = |actor: &Arc<dyn AppActor>| actor.is_over() || actor.has_failed() && !instance.is_kept();
        if is_empty && instance.actor().is_none_or(is_of_no_use) {
            self.end(&mut table, instance);
        } else if is_empty && table.wait(Arc::clone(instance)) {
            self.end_longest_idle(&mut table, Among::All);
        }
    }

    /// Ends all plugins, when the server stops and no client is left.
    pub fn end_plugins(&self) {
        // Instances with a script still exist, and the end of the plugins would wait for them.
        self.table().all().for_each(|instance| instance.forget_plugins());
        self.plugins.stop();
    }

    /// Ends all instances, when the server stops.
    pub fn stop(&self) {
        for instance in self.table().all() {
            if let Some(actor) = instance.actor() {
                let _ = actor.tell(AppEvent::Stop);
            }
        }
    }
}

/// Whether the access rules of any adaptor deny addresses.
fn has_adaptor_rules(config: &Config) -> bool {
    !config.all_adaptors().map(|adaptor| &adaptor.access).all(Access::permits_all)
}

/// The virtual host of an instance of that name: the default one, if the configuration has none of that name.
pub(super) fn vhost_of<'a>(config: &'a Config, name: &InstanceName) -> &'a Vhost {
    let adaptor = config.all_adaptors().find(|adaptor| adaptor.name == name.adaptor).unwrap_or(&config.default_adaptor);
    adaptor.all_vhosts().find(|vhost| vhost.name == name.vhost).unwrap_or(&adaptor.default_vhost)
}

/// The application whose folder serves an instance of that name.
fn registered_of<'a>(config: &'a Config, name: &InstanceName) -> Option<&'a Registered> {
    vhost_of(config, name).served_by(&name.application).map(|(_, registered)| registered)
}

/// The settings that an instance of that name runs with.
fn settings_of(config: &Config, name: &InstanceName) -> Arc<Application> {
    Arc::clone(vhost_of(config, name).application(&name.application))
}
