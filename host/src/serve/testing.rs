//! What tests of a worker's parts share: the services of a server whose scripts and plugins do nothing.

use std::sync::Arc;

use introd_config::Config;
use introd_flash::server::ConnectionSettings;
use introd_native::Plugins;
use introd_policy::registry::{InMemory, Registry};
use introd_policy::{AppActors, Replies};
use rtmfp::PeerId;
use tokio::sync::mpsc;

use super::announcer::Announcer;
use super::mail::Mail;
use super::rates::Rates;
use super::refusals::Refusals;
use super::services::Services;
use super::turn::WorkerInfo;
use crate::apps::Applications;
use crate::introducer::{Counters, Directory};
use crate::registry::{Resolver, ResolverSettings};

/// The services of a server with that configuration. `shared` is the registry that it shares with other servers.
pub(super) fn services(config: &Config, actors: Option<Arc<dyn AppActors>>, shared: Option<Arc<InMemory>>) -> Services {
    let replies = Arc::new(Replies::new(1, |_| ()));
    let plugins = Arc::new(Plugins::new(Arc::clone(&replies)));
    let own: Arc<[_]> = Arc::from(["198.51.100.1:1935".parse().unwrap()]);
    let registry: Arc<dyn Registry> = match &shared {
        Some(shared) => Arc::clone(shared) as _,
        None => Arc::new(InMemory::default()),
    };
    Services {
        directory: Directory::new(),
        counters: Arc::new(Counters::new(1)),
        connection: Arc::new(ConnectionSettings::default()),
        rates: Rates::new(&config.server.limits),
        refusals: Refusals::default(),
        max_unsent_age: None,
        applications: Arc::new(Applications::new(config.clone(), actors, plugins)),
        near_id: PeerId([0; 32]),
        potential_near_addresses: Arc::clone(&own),
        announcer: shared.map(|shared| Announcer::new(shared, own)),
        resolver: Resolver::start(registry, ResolverSettings::default(), Arc::clone(&replies)).unwrap(),
        replies,
    }
}

/// The only worker of these services, and the receiving end of its mailbox, in which `room` messages may wait.
pub(super) fn worker(services: Services, room: usize) -> (WorkerInfo, mpsc::Receiver<Mail>) {
    let (sender, receiver) = mpsc::channel(room);
    let info =
        WorkerInfo { index: 0, listeners: Vec::new(), mailboxes: Arc::from([sender]), services: Arc::new(services) };
    (info, receiver)
}
