//! The existing instances, and how many of them each virtual host and each network has.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use rtmfp::NetworkPrefix;

use super::instance::AppInstance;
use introd_policy::{AppActor, InstanceId, InstanceName};

/// How many instances with a script may wait for clients to come back. Each takes some 80 kB, and visits to many instances must not
/// fill the memory for as long as `MaxAppIdleTime`. If there are more, the longest idle end at once.
pub(super) const MAX_IDLE_INSTANCES: usize = 1000;

/// A virtual host, by the names of its adaptor and its own.
type VhostName = (String, String);

#[derive(Default)]
pub(super) struct Table {
    instances: HashMap<InstanceName, Arc<AppInstance>>,
    /// Clients and instances of each virtual host.
    vhosts: HashMap<VhostName, VhostCount>,
    /// Instances with a policy whose last clients have left, by the time of that, the longest idle first. At most
    /// [`MAX_IDLE_INSTANCES`].
    idle: BTreeMap<(Instant, InstanceId), Arc<AppInstance>>,
    /// Policies that have been told to end, and may still use memory.
    ending: Vec<Arc<dyn AppActor>>,
}

#[derive(Default)]
struct VhostCount {
    clients: u64,
    instances: u64,
    /// The instances with a policy, counted by the network of the client that created them.
    by_maker: HashMap<NetworkPrefix, u64>,
}

/// The set of instances of which one may end.
#[derive(Clone, Copy)]
pub(super) enum Among<'a> {
    /// All instances.
    All,
    /// The instances of the virtual host of an instance of that name.
    Vhost(&'a InstanceName),
    /// The instances in that virtual host which clients of a network have created.
    MadeBy(NetworkPrefix, &'a InstanceName),
}

impl Among<'_> {
    fn has(self, instance: &AppInstance) -> bool {
        let is_there = |name: &InstanceName| {
            let other = instance.name();
            (&name.adaptor, &name.vhost) == (&other.adaptor, &other.vhost)
        };
        match self {
            Self::All => true,
            Self::Vhost(name) => is_there(name),
            Self::MadeBy(maker, name) => instance.maker() == Some(maker) && is_there(name),
        }
    }
}

fn vhost_of(name: &InstanceName) -> VhostName {
    (name.adaptor.clone(), name.vhost.clone())
}

impl Table {
    /// The instance of that name.
    pub(super) fn get(&self, name: &InstanceName) -> Option<&Arc<AppInstance>> {
        self.instances.get(name)
    }

    /// All instances.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<AppInstance>> {
        self.instances.values()
    }

    /// How many instances there are.
    pub(super) fn len(&self) -> usize {
        self.instances.len()
    }

    /// How many clients the virtual host of an instance of that name has.
    pub(super) fn clients(&self, name: &InstanceName) -> u64 {
        self.vhosts.get(&vhost_of(name)).map_or(0, |count| count.clients)
    }

    /// How many instances the virtual host of an instance of that name has.
    pub(super) fn instances(&self, name: &InstanceName) -> u64 {
        self.vhosts.get(&vhost_of(name)).map_or(0, |count| count.instances)
    }

    /// How many instances with a policy in that virtual host were made by clients of a network.
    pub(super) fn made_by(&self, maker: NetworkPrefix, name: &InstanceName) -> u64 {
        self.vhosts.get(&vhost_of(name)).and_then(|count| count.by_maker.get(&maker)).copied().unwrap_or(0)
    }

    /// Adds an instance.
    pub(super) fn add(&mut self, instance: &Arc<AppInstance>) {
        let count = self.vhosts.entry(vhost_of(instance.name())).or_default();
        count.instances += 1;
        if let Some(maker) = maker_of(instance) {
            *count.by_maker.entry(maker).or_default() += 1;
        }
        self.instances.insert(instance.name().clone(), Arc::clone(instance));
    }

    /// Removes an instance. False if another instance of the same name has taken its place already.
    pub(super) fn remove(&mut self, instance: &AppInstance) -> bool {
        let name = instance.name();
        if !self.instances.get(name).is_some_and(|known| std::ptr::eq(&**known, instance)) {
            return false;
        }
        self.instances.remove(name);
        self.wait_no_more(instance);
        if let Some(actor) = instance.actor() {
            if self.ending.len() == self.ending.capacity() {
                self.forget_ended();
                // The room doubles, so that each policy costs constant time.
                self.ending.reserve(self.ending.len() + 1);
            }
            self.ending.push(Arc::clone(actor));
        }
        let vhost = vhost_of(name);
        if let Some(count) = self.vhosts.get_mut(&vhost) {
            count.instances = count.instances.saturating_sub(1);
            if let Some(maker) = maker_of(instance)
                && let Some(made) = count.by_maker.get_mut(&maker)
            {
                *made = made.saturating_sub(1);
                if *made == 0 {
                    count.by_maker.remove(&maker);
                }
            }
            if count.clients == 0 && count.instances == 0 {
                self.vhosts.remove(&vhost);
            }
        }
        true
    }

    /// Counts one more client of a virtual host.
    pub(super) fn enter(&mut self, name: &InstanceName) {
        self.vhosts.entry(vhost_of(name)).or_default().clients += 1;
    }

    /// Counts one client less of a virtual host.
    pub(super) fn leave(&mut self, name: &InstanceName) {
        if let Some(count) = self.vhosts.get_mut(&vhost_of(name)) {
            count.clients = count.clients.saturating_sub(1);
        }
    }

    /// Notes that an instance waits without clients. True if too many wait now.
    pub(super) fn wait(&mut self, instance: Arc<AppInstance>) -> bool {
        if let Some(since) = instance.idle_since() {
            self.idle.insert((since, instance.id()), instance);
        }
        self.idle.len() > MAX_IDLE_INSTANCES
    }

    /// Notes that an instance does not wait any more. This must be called while the instance still has its `idle_since`.
    pub(super) fn wait_no_more(&mut self, instance: &AppInstance) {
        if let Some(since) = instance.idle_since() {
            self.idle.remove(&(since, instance.id()));
        }
    }

    /// The instances that may end early, the longest idle first.
    pub(super) fn idle(&self, among: Among<'_>) -> impl Iterator<Item = &Arc<AppInstance>> {
        self.idle.values().filter(move |it| among.has(it) && !it.is_kept() && it.clients() == 0)
    }

    /// The memory in bytes of policies that have been told to end.
    pub(super) fn ending_memory(&mut self) -> usize {
        self.forget_ended();
        self.ending.iter().map(|actor| actor.memory()).sum()
    }

    fn forget_ended(&mut self) {
        self.ending.retain(|actor| actor.memory() > 0);
    }

    #[cfg(test)]
    pub(super) fn is_clean(&self) -> bool {
        self.instances.is_empty() && self.vhosts.is_empty() && self.idle.is_empty()
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.idle.len()
    }
}

/// The network for which an instance counts; `None` for an instance without a policy, which costs next to nothing, or one that no client
/// made.
fn maker_of(instance: &AppInstance) -> Option<NetworkPrefix> {
    instance.maker().filter(|_| instance.actor().is_some())
}

#[cfg(test)]
mod tests;
