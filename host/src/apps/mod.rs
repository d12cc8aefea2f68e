//! Application instances: which there are, who is in them, and with which settings they run.
//!
//! An application without a script has no thread and no machine of its own: an instance is an entry in a table, made by its first
//! client and gone with its last.

mod admission;
mod caretaker;
mod door;
mod guards;
mod instance;
mod pressure;
mod table;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use arc_swap::ArcSwap;
use door::{Door, adaptor_at};
use introd_policy::message::AppEvent;
use introd_policy::{AppActor, AppActors, InstanceId, InstanceName};
use rtmfp::NetworkPrefix;
use slab::Slab;
use table::{Among, Table};

pub use admission::{Refusal, Seat};
pub use caretaker::Caretaker;
pub use guards::Guards;
pub use instance::Instance;

use introd_config::{Access, Application, Config, LookupMode, LookupsFrom, Registered, Vhost};
use introd_native::Plugins;

/// The applications of a server, shared by its workers.
pub struct Applications {
    config: ArcSwap<Config>,
    table: Mutex<Table>,
    /// For those who know an instance by its number only.
    by_id: RwLock<Slab<Arc<Instance>>>,
    /// All clients of the server.
    clients: AtomicU64,
    /// Where instances get their policies from.
    actors: Option<Arc<dyn AppActors>>,
    /// The native plugins of all of them.
    plugins: Arc<Plugins>,
    /// Which instances have a say in who is introduced to their clients.
    guards: Guards,
    /// Whether an adaptor keeps addresses out.
    has_adaptor_rules: AtomicBool,
}

impl Applications {
    /// No instances yet. The plugins that the configuration names are among `plugins`.
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

    /// The present configuration.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Takes on another configuration: what it says of applications holds for the instances there are, too. Clients stay. The
    /// plugins that it names are among the plugins.
    pub fn reconfigure(&self, config: Config) {
        let config = Arc::new(config);
        self.config.store(Arc::clone(&config));
        self.has_adaptor_rules.store(has_adaptor_rules(&config), Ordering::Release);
        for instance in self.table().all() {
            let settings = settings_of(&config, instance.name());
            // An application that stays as it was keeps its script as it is. One that turns clients away now leaves those that it
            // has with the settings that they came under.
            if Arc::ptr_eq(&settings, &instance.settings()) || settings.peer_lookup_events == LookupMode::Denied {
                instance.set_door(Door::of(&config, instance.name()));
                self.guards.set(instance.id(), instance.has_say());
                continue;
            }
            let plugins = self.plugins.chain(&settings.plugins);
            instance.reconfigure(settings, plugins, Door::of(&config, instance.name()));
            self.guards.set(instance.id(), instance.has_say());
        }
    }

    /// Which instances have a say in who is introduced to their clients.
    pub fn guards(&self) -> &Guards {
        &self.guards
    }

    /// Whether an adaptor keeps addresses out. Costs one read of memory.
    pub fn has_adaptor_rules(&self) -> bool {
        self.has_adaptor_rules.load(Ordering::Acquire)
    }

    /// Whether the access rules of the adaptor at that place in the configuration let an address in.
    pub fn adaptor_permits(&self, adaptor: usize, ip: IpAddr) -> bool {
        adaptor_at(&self.config.load(), adaptor).access.permits(ip)
    }

    /// Whether a lookup that neither comes from a client nor is for one is refused whatever a policy would say: by the access rules
    /// of the adaptor and its default virtual host, or because the default application answers clients only.
    pub fn bars_strangers(&self, adaptor: usize, ip: IpAddr) -> bool {
        let config = self.config.load();
        let adaptor = adaptor_at(&config, adaptor);
        let vhost = &adaptor.default_vhost;
        vhost.application(&vhost.default_application).lookups_from == LookupsFrom::Clients
            || !adaptor.access.permits(ip)
            || !vhost.access.permits(ip)
    }

    /// The instance of that number, if it is still there.
    pub fn instance(&self, InstanceId(id): InstanceId) -> Option<Arc<Instance>> {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(usize::from(id)).cloned()
    }

    /// The settings for lookups by nobody's client for nobody's client: those of the default application of an adaptor.
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

    /// The first instance of the default application of an adaptor, if it is there.
    pub fn default_instance(&self, adaptor: usize) -> Option<Arc<Instance>> {
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

    /// How many instances there are.
    pub fn instances(&self) -> usize {
        self.table().len()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Each change under the lock is made in steps that cannot panic halfway.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instance that is wanted, with one more client; it is made if it is not there.
    fn enter(&self, wanted: Wanted<'_>) -> Result<Arc<Instance>, Refusal> {
        let mut table = self.table();
        if wanted.limits.connections.is_some_and(|most| table.clients(&wanted.name) >= most) {
            return Err(Refusal::TooManyConnections);
        }
        let instance = self.open(&mut table, wanted)?;
        table.wait_no_more(&instance);
        table.enter(instance.name());
        instance.enter();
        self.clients.fetch_add(1, Ordering::Relaxed);
        Ok(instance)
    }

    /// The instance that is wanted; it is made if it is not there.
    fn open(&self, table: &mut Table, wanted: Wanted<'_>) -> Result<Arc<Instance>, Refusal> {
        if let Some(instance) = table.get(&wanted.name).cloned() {
            if !instance.actor().is_some_and(|actor| actor.is_over()) {
                return Ok(instance);
            }
            // Its last clients are on their way out; whoever comes now gets a new one.
            self.end(table, &instance);
        }
        self.make_room(table, &wanted)?;
        let Wanted { name, settings, registered, maker, .. } = wanted;
        let actor = self.actor_of(&name, &settings, registered)?;
        let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        let slot = by_id.vacant_entry();
        let Ok(id) = u16::try_from(slot.key()).map(InstanceId) else { return Err(Refusal::TooManyInstances) };
        let plugins = self.plugins.chain(&settings.plugins);
        let door = Door::of(&self.config(), &name);
        let instance = Arc::new(Instance::new(id, name, settings, plugins, actor, door, maker));
        self.guards.set(id, instance.has_say());
        slot.insert(Arc::clone(&instance));
        table.add(&instance);
        Ok(instance)
    }

    /// Sees that there may be one more instance: where there are as many as there may be, one that has no clients ends.
    fn make_room(&self, table: &mut Table, wanted: &Wanted<'_>) -> Result<(), Refusal> {
        let Wanted { name, limits, .. } = wanted;
        let has_script = wanted.registered.is_some_and(|registered| registered.has_script);
        if has_script {
            self.make_room_in_memory(table)?;
        }
        if let Some((maker, most)) = wanted.maker.zip(limits.instances_per_address)
            && has_script
            && table.made_by(maker, name) >= most
            && !self.end_longest_idle(table, Among::MadeBy(maker, name))
        {
            return Err(Refusal::TooManyInstancesOf(maker));
        }
        if limits.instances.is_some_and(|most| table.instances(name) >= most)
            && !self.end_longest_idle(table, Among::Vhost(name))
        {
            return Err(Refusal::TooManyInstances);
        }
        if table.len() > usize::from(u16::MAX) && !self.end_longest_idle(table, Among::All) {
            return Err(Refusal::TooManyInstances);
        }
        Ok(())
    }

    /// The policy for a new instance, if its application has one. An application does not run without the script that it has.
    fn actor_of(
        &self,
        name: &InstanceName,
        settings: &Arc<Application>,
        registered: Option<&Registered>,
    ) -> Result<Option<Arc<dyn AppActor>>, Refusal> {
        let Some((actors, registered)) = self.actors.as_ref().zip(registered) else { return Ok(None) };
        let actor = actors.open(name, &registered.folder, settings);
        if actor.is_none() && registered.has_script {
            let reason = format!("{}: its script is gone, or cannot be started", registered.folder.display());
            return Err(Refusal::Closed { application: name.application.clone(), reason: reason.into() });
        }
        Ok(actor)
    }

    /// Takes an instance out of the table, and its policy to its end.
    fn end(&self, table: &mut Table, instance: &Instance) {
        if !table.remove(instance) {
            return;
        }
        if let Some(actor) = instance.actor() {
            let _ = actor.tell(AppEvent::Stop);
        }
        self.by_id.write().unwrap_or_else(PoisonError::into_inner).try_remove(usize::from(instance.id().0));
    }

    /// One client less; an instance goes with its last, unless it has a policy that may wait for others.
    fn leave(&self, instance: &Arc<Instance>) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
        let mut table = self.table();
        let is_empty = instance.leave() == 0;
        table.leave(instance.name());
        // A script that does not load is tried again with the next client: it may have been mended by then.
        let is_of_no_use = |actor: &Arc<dyn AppActor>| actor.is_over() || actor.has_failed() && !instance.is_kept();
        if is_empty && instance.actor().is_none_or(is_of_no_use) {
            self.end(&mut table, instance);
        } else if is_empty && table.wait(Arc::clone(instance)) {
            self.end_longest_idle(&mut table, Among::All);
        }
    }

    /// Ends the instance that has been without clients for longest, to make room. False if there is none.
    fn end_longest_idle(&self, table: &mut Table, among: Among<'_>) -> bool {
        let Some(instance) = table.idle(among).next().cloned() else { return false };
        tracing::info!(app = %instance.name(), "ends: it has no clients, and others need the room");
        self.end(table, &instance);
        true
    }

    /// Ends all plugins: the server stops, and nobody is left to ask them about.
    pub fn end_plugins(&self) {
        // Instances with a script are there still, and would be waited for.
        self.table().all().for_each(|instance| instance.forget_plugins());
        self.plugins.stop();
    }

    /// Ends all instances: the server stops.
    pub fn stop(&self) {
        for instance in self.table().all() {
            if let Some(actor) = instance.actor() {
                let _ = actor.tell(AppEvent::Stop);
            }
        }
    }
}

/// An instance that somebody wants to be there.
struct Wanted<'a> {
    name: InstanceName,
    settings: Arc<Application>,
    /// Its application, if that has a folder.
    registered: Option<&'a Registered>,
    limits: Limits,
    /// Where the client is that wants it; `None` if it is to be there without one.
    maker: Option<NetworkPrefix>,
}

/// What a virtual host allows.
#[derive(Clone, Copy)]
struct Limits {
    connections: Option<u64>,
    instances: Option<u64>,
    /// Instances with a script that clients of one address have made.
    instances_per_address: Option<u64>,
}

impl Limits {
    fn of(vhost: &Vhost) -> Self {
        Self {
            connections: vhost.max_connections,
            instances: vhost.max_app_instances,
            instances_per_address: vhost.max_app_instances_per_address,
        }
    }
}

/// Whether an adaptor keeps addresses out.
fn has_adaptor_rules(config: &Config) -> bool {
    !config.all_adaptors().map(|adaptor| &adaptor.access).all(Access::lets_everyone_in)
}

/// The settings that an instance of that name runs with.
fn settings_of(config: &Config, name: &InstanceName) -> Arc<Application> {
    let adaptor = config.all_adaptors().find(|adaptor| adaptor.name == name.adaptor).unwrap_or(&config.default_adaptor);
    let vhost = adaptor.all_vhosts().find(|vhost| vhost.name == name.vhost).unwrap_or(&adaptor.default_vhost);
    Arc::clone(vhost.application(&name.application))
}

#[cfg(test)]
mod tests;
