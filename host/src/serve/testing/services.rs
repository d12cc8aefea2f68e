//! The services of a server whose plugins do nothing, and what a worker's parts need of a worker.

use std::sync::Arc;
use std::time::Duration;

use introd_config::Config;
use introd_flash::server::ConnectionSettings;
use introd_native::Plugins;
use introd_policy::registry::{InMemory, Registry};
use introd_policy::{AppActors, Replies};
use rtmfp::PeerId;
use tokio::sync::mpsc;

use crate::apps::Applications;
use crate::groups::SharedGroups;
use crate::introducer::{Counters, Directory};
use crate::meetings::{Meetings, VerdictCounts};
use crate::network::{Network, Standing};
use crate::registry::{Resolver, ResolverSettings};
use crate::relay::{Beginning, Relay};
use crate::serve::announcer::Announcer;
use crate::serve::drain::Drain;
use crate::serve::mail::Mail;
use crate::serve::nat_tests::NatTests;
use crate::serve::rates::Rates;
use crate::serve::refusals::Refusals;
use crate::serve::services::Services;
use crate::serve::turn::WorkerInfo;
use crate::stories::Stories;

/// How many workers the services are for.
const WORKERS: u8 = 2;
/// The timeout of a call of the registry.
pub(in crate::serve) const RESOLVER_TIMEOUT: Duration = Duration::from_secs(3600);
/// How many peers the registry is asked about at a time.
pub(in crate::serve) const MAX_CALLS: usize = 3;

/// The services of a server with that configuration. `shared` is the registry that it shares with other servers.
pub(crate) fn services(
    config: &Config,
    actors: Option<Arc<dyn AppActors>>,
    shared: Option<Arc<dyn Registry>>,
) -> Services {
    services_that_wake(config, actors, shared, |_| ())
}

/// The same, where `wake` is called when a worker has a reply.
pub(super) fn services_that_wake(
    config: &Config,
    actors: Option<Arc<dyn AppActors>>,
    shared: Option<Arc<dyn Registry>>,
    wake: impl Fn(u8) + Send + Sync + 'static,
) -> Services {
    let replies = Arc::new(Replies::new(WORKERS.into(), wake));
    let plugins = Arc::new(Plugins::new(Arc::clone(&replies)));
    let own: Arc<[_]> = Arc::from(["198.51.100.1:1935".parse().unwrap()]);
    let registry: Arc<dyn Registry> = match &shared {
        Some(shared) => Arc::clone(shared),
        None => Arc::new(InMemory::default()),
    };
    // The resolver counts real time, which is not to decide in a test.
    let settings = ResolverSettings { timeout: RESOLVER_TIMEOUT, max_calls: MAX_CALLS, ..ResolverSettings::default() };
    Services {
        directory: Arc::new(Directory::new()),
        groups: Arc::default(),
        shared_groups: shared.as_ref().map(|_| SharedGroups::unattended()),
        counters: Arc::new(Counters::new(WORKERS)),
        meetings: Meetings::new(WORKERS),
        verdicts: VerdictCounts::new(WORKERS),
        stories: Stories::new(WORKERS),
        latencies: Arc::default(),
        drain: Arc::new(Drain::new(WORKERS.into(), |_| ())),
        connection: Arc::new(ConnectionSettings::default()),
        rates: Rates::new(&config.server.limits),
        refusals: Refusals::default(),
        nat_tests: NatTests::new([5; 32]),
        max_unsent_age: None,
        applications: Arc::new(Applications::new(config.clone(), actors, plugins)),
        near_id: PeerId([0; 32]),
        network: Arc::new(Network::at(Standing::at(own))),
        relay: Relay::start(config, &[], Beginning::default()).unwrap().map(Arc::new),
        announcer: shared.map(Announcer::new),
        resolver: Resolver::start(registry, settings, Arc::clone(&replies)).unwrap(),
        replies,
    }
}

/// The only worker of these services, and the receiving end of its mailbox, in which `room` messages may wait.
pub(in crate::serve) fn worker(services: Services, room: usize) -> (WorkerInfo, mpsc::Receiver<Mail>) {
    let (sender, receiver) = mpsc::channel(room);
    let info =
        WorkerInfo { index: 0, listeners: Vec::new(), mailboxes: Arc::from([sender]), services: Arc::new(services) };
    (info, receiver)
}
