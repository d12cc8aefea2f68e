//! Application instances: which there are, who is in them, and with which settings they run.
//!
//! An application without a script has no thread and no machine of its own: an instance is an entry in a table, made by its first
//! client and gone with its last.

mod actor;
mod admission;
mod instance;
pub mod message;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use arc_swap::ArcSwap;
use message::AppEvent;
use slab::Slab;

pub use actor::{Actor, Actors};
pub use admission::{Refusal, Seat};
pub use instance::{Instance, InstanceId, InstanceName};

use crate::config::{Application, Config};

/// The applications of a server, shared by its workers.
pub struct Applications {
    config: ArcSwap<Config>,
    table: Mutex<Table>,
    /// For those who know an instance by its number only.
    by_id: RwLock<Slab<Arc<Instance>>>,
    /// All clients of the server.
    clients: AtomicU64,
    /// Where instances get their policies from.
    actors: Option<Arc<dyn Actors>>,
}

#[derive(Default)]
struct Table {
    instances: HashMap<InstanceName, Arc<Instance>>,
    /// Clients and instances of each virtual host, by adaptor and virtual host.
    vhosts: HashMap<(String, String), VhostCount>,
}

#[derive(Clone, Copy, Default)]
struct VhostCount {
    clients: u64,
    instances: u64,
}

impl Applications {
    /// No instances yet.
    pub fn new(config: Config, actors: Option<Arc<dyn Actors>>) -> Self {
        Self {
            actors,
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

    /// Takes on another configuration: what it says of applications holds for the instances there are, too. Clients stay.
    pub fn reconfigure(&self, config: Config) {
        let config = Arc::new(config);
        self.config.store(Arc::clone(&config));
        for instance in self.table().instances.values() {
            instance.reconfigure(settings_of(&config, instance.name()));
        }
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

    /// How many clients are connected.
    pub fn clients(&self) -> u64 {
        self.clients.load(Ordering::Relaxed)
    }

    /// How many instances there are.
    pub fn instances(&self) -> usize {
        self.table().instances.len()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Each change under the lock is made in steps that cannot panic halfway.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instance of that name with one more client; it is made if it is not there.
    fn enter(
        &self,
        name: InstanceName,
        settings: Arc<Application>,
        folder: Option<&Path>,
        limits: Limits,
    ) -> Result<Arc<Instance>, Refusal> {
        let mut table = self.table();
        let table = &mut *table;
        let count = table.vhosts.entry((name.adaptor.clone(), name.vhost.clone())).or_default();
        if limits.connections.is_some_and(|most| count.clients >= most) {
            return Err(Refusal::TooManyConnections);
        }
        let instance = match table.instances.entry(name) {
            Entry::Occupied(entry) => Arc::clone(entry.get()),
            Entry::Vacant(entry) => {
                if limits.instances.is_some_and(|most| count.instances >= most) {
                    return Err(Refusal::TooManyInstances);
                }
                let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
                let slot = by_id.vacant_entry();
                let Ok(id) = u16::try_from(slot.key()).map(InstanceId) else { return Err(Refusal::TooManyInstances) };
                count.instances += 1;
                let actor = self
                    .actors
                    .as_ref()
                    .zip(folder)
                    .and_then(|(actors, folder)| actors.open(entry.key(), folder, &settings));
                let instance = Arc::new(Instance::new(id, entry.key().clone(), settings, actor));
                slot.insert(Arc::clone(&instance));
                Arc::clone(entry.insert(instance))
            }
        };
        count.clients += 1;
        instance.enter();
        self.clients.fetch_add(1, Ordering::Relaxed);
        Ok(instance)
    }

    /// Ends the instances with a policy that have had no clients for as long as their settings allow.
    pub fn end_idle(&self, now: Instant) {
        let mut table = self.table();
        let table = &mut *table;
        table.instances.retain(|name, instance| {
            let is_over = instance
                .idle_since()
                .is_some_and(|since| now.saturating_duration_since(since) >= instance.settings().max_idle_time);
            if is_over {
                if let Some(actor) = instance.actor() {
                    let _ = actor.tell(AppEvent::Stop);
                }
                if let Some(count) = table.vhosts.get_mut(&(name.adaptor.clone(), name.vhost.clone())) {
                    count.instances = count.instances.saturating_sub(1);
                }
                let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
                by_id.try_remove(usize::from(instance.id().0));
            }
            !is_over
        });
    }

    /// Ends all instances: the server stops.
    pub fn stop(&self) {
        for instance in self.table().instances.values() {
            if let Some(actor) = instance.actor() {
                let _ = actor.tell(AppEvent::Stop);
            }
        }
    }

    /// One client less; an instance goes with its last.
    fn leave(&self, instance: &Instance) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
        let mut table = self.table();
        let is_empty = instance.leave() == 0;
        let name = instance.name();
        let key = (name.adaptor.clone(), name.vhost.clone());
        if let Some(count) = table.vhosts.get_mut(&key) {
            count.clients = count.clients.saturating_sub(1);
            count.instances = count.instances.saturating_sub(u64::from(is_empty && instance.actor().is_none()));
            if count.clients == 0 && count.instances == 0 {
                table.vhosts.remove(&key);
            }
        }
        if is_empty && instance.actor().is_none() {
            table.instances.remove(name);
            let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
            by_id.try_remove(usize::from(instance.id().0));
        }
    }
}

/// What a virtual host allows.
#[derive(Clone, Copy)]
struct Limits {
    connections: Option<u64>,
    instances: Option<u64>,
}

/// The settings that an instance of that name runs with.
fn settings_of(config: &Config, name: &InstanceName) -> Arc<Application> {
    let adaptor = config.all_adaptors().find(|adaptor| adaptor.name == name.adaptor).unwrap_or(&config.default_adaptor);
    let vhost = adaptor.all_vhosts().find(|vhost| vhost.name == name.vhost).unwrap_or(&adaptor.default_vhost);
    Arc::clone(vhost.application(&name.application))
}

#[cfg(test)]
mod tests;
