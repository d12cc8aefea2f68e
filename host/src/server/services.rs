//! Creates what all workers share from the configuration: plugins, the registry, scripts, the applications.

use std::sync::Arc;

use anyhow::Context as _;
use introd_config::Config;
use introd_flash::server::ConnectionSettings;
use introd_native::{LoadError, Plugins};
use introd_policy::Replies;
use introd_policy::registry::{InMemory, Registry, RegistryState};
use rtmfp::PeerId;

use super::settings::ServerSettings;
use crate::apps::Applications;
use crate::diagnostics;
use crate::groups::{SendHint, SharedGroups};
use crate::http_requests::HttpService;
use crate::introducer::{Counter, Counters, Directory};
use crate::meetings::{Meetings, VerdictCounts};
use crate::netconnections::NetConnectionService;
use crate::network::{Listener, Network, Standing};
use crate::registry::{ForScripts, Resolver, ResolverSettings};
use crate::relay::{Beginning, Relay};
use crate::serve::{Announcer, Drain, Mail, MailSender, NatTests, Rates, Refusals, Services, Switchboard};
use crate::stories::Stories;
use crate::takeover::OfferedServices;

/// What is shared, the scripts' host among it, and the configuration in force: applications whose plugins cannot be used are closed
/// in it.
pub(super) struct Shared {
    pub(super) services: Arc<Services>,
    pub(super) scripts: Arc<introd_lua::Host>,
    pub(super) net_connections: Arc<NetConnectionService>,
    pub(super) http: Arc<HttpService>,
    pub(super) config: Config,
}

impl Shared {
    pub(super) fn start(
        settings: &ServerSettings,
        mailboxes: &Arc<[MailSender]>,
        listeners: &[Listener],
        near_id: PeerId,
        offered: Option<OfferedServices>,
    ) -> anyhow::Result<Self> {
        let (count, is_heir) = (mailboxes.len(), offered.is_some());
        let workers = u8::try_from(count).unwrap_or(u8::MAX);
        let counters = Arc::new(Counters::new(workers));
        let replies = replies(mailboxes);
        // Plugins are loaded before any client can connect, because a plugin may be all that rejects unwanted clients.
        let plugins = Arc::new(Plugins::new(Arc::clone(&replies)));
        let config = with_plugins(&settings.config, &plugins).context("the server does not start")?;
        let handed_over = offered.as_ref().and_then(|offered| offered.registry.as_ref());
        let shared_registry = shared_registry(settings, &config, &plugins, handed_over)?;
        let timeout = config.server.registry.lookup_timeout;
        let registry = shared_registry.clone().unwrap_or_else(|| Arc::new(InMemory::default()));
        let resolving = ResolverSettings { timeout, ..ResolverSettings::default() };
        let resolver = Resolver::start(Arc::clone(&registry), resolving, Arc::clone(&replies))
            .context("the registry's thread cannot be started")?;
        let directory = Arc::new(Directory::new());
        let for_scripts: Arc<dyn Registry> = match shared_registry {
            Some(_) => Arc::new(ForScripts::new(registry, Arc::clone(&directory), timeout)),
            None => registry,
        };
        let commands = Switchboard::new(Arc::clone(mailboxes), Arc::clone(&counters), Arc::clone(&replies));
        let scripts = introd_lua::HostSettings {
            threads: config.server.script_threads,
            trim: Some(crate::memory::return_freed_memory),
            fatal: Some(introd_liveness::fail),
            ..introd_lua::HostSettings::default()
        };
        let net_connections = Arc::new(NetConnectionService::new());
        let http = Arc::new(HttpService::new(config.server.max_http_requests));
        let surroundings = introd_lua::Surroundings {
            registry: for_scripts,
            peer_ids: Some(Arc::clone(&directory) as _),
            connections: Arc::clone(&net_connections) as _,
            http: Arc::clone(&http) as _,
        };
        let scripts = introd_lua::Host::start(scripts, Arc::new(commands), surroundings);
        let scripts = Arc::new(scripts.context("the threads of scripts cannot be started")?);
        let beginning =
            Beginning { offered: offered.map(|offered| offered.relay), is_replaceable: settings.can_be_taken_over };
        let relay = Relay::start(&config, listeners, beginning)?.map(Arc::new);
        let (wake_all, of_network) = (wake_all(mailboxes), relay.clone());
        let on_change = move |standing: &Standing| {
            wake_all();
            if let Some(relay) = &of_network {
                relay.look_at_addresses(&standing.public_ips);
            }
        };
        let network = Network::new(listeners.to_vec(), config.server.public_ip.clone(), on_change);
        let near_addresses = network.near_addresses();
        if !near_addresses.is_empty() {
            tracing::info!(addresses = ?near_addresses, "others reach the server at these addresses");
        } else if shared_registry.is_some() {
            tracing::warn!(
                "other servers cannot send peers here, because this machine has no address that leads out: the server waits for one. \
                 If others reach it by another address, set PublicIP in Server.xml to that"
            );
        }
        let applications = Applications::new(config.clone(), Some(Arc::clone(&scripts) as _), plugins);
        let groups = Arc::default();
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).context("the operating system has no randomness to give")?;
        let shared_groups = shared_registry.as_ref().and_then(|registry| {
            let (counters, send) = (Arc::clone(&counters), hints(mailboxes, &counters));
            let (registry, members) = (Arc::clone(registry), Arc::clone(&groups));
            SharedGroups::start(registry, members, counters, timeout, send, resolver.handle(), is_heir)
        });
        let services = Arc::new(Services {
            directory,
            groups,
            shared_groups,
            counters,
            meetings: Meetings::new(workers),
            verdicts: VerdictCounts::new(workers),
            stories: Stories::new(workers),
            latencies: Arc::default(),
            relay,
            drain: Arc::new(Drain::new(count, wake(mailboxes))),
            connection: Arc::new(ConnectionSettings::default()),
            max_unsent_age: config.default_adaptor.rtmfp.unsent_age,
            rates: Rates::new(&config.server.limits),
            refusals: Refusals::default(),
            nat_tests: NatTests::new(secret),
            applications: Arc::new(applications),
            announcer: shared_registry.map(Announcer::new),
            network: Arc::new(network),
            resolver,
            replies,
            near_id,
        });
        Ok(Self { services, scripts, net_connections, http, config })
    }
}

/// The queues of replies to the workers, which are woken by their mailboxes.
fn replies(mailboxes: &Arc<[MailSender]>) -> Arc<Replies> {
    Arc::new(Replies::new(mailboxes.len(), wake(mailboxes)))
}

/// Wakes a worker, so that it looks for what is new.
fn wake(mailboxes: &Arc<[MailSender]>) -> impl Fn(u8) + Send + Sync + 'static {
    let mailboxes = Arc::clone(mailboxes);
    move |worker| {
        // A worker with a full mailbox needs no wake-up.
        if let Some(mailbox) = mailboxes.get(usize::from(worker)) {
            let _ = mailbox.try_send(Mail::Wake);
        }
    }
}

/// Wakes all workers.
fn wake_all(mailboxes: &Arc<[MailSender]>) -> impl Fn() + Send + Sync + 'static {
    let (wake, count) = (wake(mailboxes), mailboxes.len());
    move || (0..).take(count).for_each(&wake)
}

/// Sends hints that name members of other servers to the workers that have the sessions. A hint for which there is no room is lost, and
/// counted: the member asks again.
fn hints(mailboxes: &Arc<[MailSender]>, counters: &Arc<Counters>) -> Arc<SendHint> {
    let (mailboxes, counters) = (Arc::clone(mailboxes), Arc::clone(counters));
    Arc::new(move |session, group, about| {
        let worker = session.prefix();
        let Some(mailbox) = mailboxes.get(usize::from(worker)) else { return };
        if mailbox.try_send(Mail::Hint { session, group, about }).is_err() {
            counters.worker(worker).add(Counter::MailboxFull);
        }
    })
}

/// Loads the plugins of a configuration. In the configuration that is returned, applications whose plugins cannot be used are closed.
fn with_plugins(config: &Config, plugins: &Plugins) -> Result<Config, LoadError> {
    let mut config = config.clone();
    let (prepared, diagnostics) = diagnostics::of_plugins(&mut config, plugins)?;
    diagnostics::log(&diagnostics);
    plugins.add(&prepared);
    plugins.keep(prepared);
    Ok(config)
}

/// The registry that the server shares with others, if there is one.
fn shared_registry(
    settings: &ServerSettings,
    config: &Config,
    plugins: &Plugins,
    handed_over: Option<&RegistryState>,
) -> anyhow::Result<Option<Arc<dyn Registry>>> {
    let Some(path) = config.server.registry.plugin.as_ref().filter(|_| settings.registry.is_none()) else {
        return Ok(settings.registry.clone());
    };
    let registry = plugins.registry(path, &config.server.registry.config, &config.root, handed_over);
    Ok(Some(Arc::new(registry.context("the server does not start")?)))
}
