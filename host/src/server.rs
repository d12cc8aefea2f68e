//! Builds the server from its settings, and owns its start and its stop.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::Context as _;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rtmfp::crypto::{CookieJar, Group, Identity};
use rtmfp::flow::FlowConfig;
use rtmfp::{Config as EndpointConfig, Endpoint, ForwardedHello, MAX_PREFIXES, Rate, SessionCounts};
use tokio::sync::watch;

use crate::apps::{Applications, Caretaker};
use crate::introducer::{Counters, Directory, Snapshot};
use crate::record::Recorder;
use crate::registry::{Resolver, ResolverSettings, Timed};
use crate::serve::{
    Announcer, KeyingPool, Listener, Mail, MailSender, Rates, Refusals, Services, Surroundings, Switchboard, Worker,
    WorkerParts, listen, mailbox,
};
use introd_config::{Adaptor, Config, Kept};
use introd_flash::server::ConnectionSettings;
use introd_liveness::{AtStandstill, Pulse};
use introd_log::CONFIGURATION;
use introd_native::{LoadError, PluginMetric, Plugins};
use introd_policy::Replies;
use introd_policy::registry::{InMemory, Registry};
use introd_udp::{LocalAddress, Ports, UdpSocket};

/// So many names of virtual hosts get an identity of their own: each hello is held against all of them.
const MAX_HOST_NAMES: usize = 64;

/// What a server is told when it starts.
#[derive(Clone)]
pub struct ServerSettings {
    /// The configuration.
    pub config: Config,
    /// Addresses to listen on instead of those of the configuration. Their clients come through the default adaptor.
    pub listen: Vec<SocketAddr>,
    /// How many workers share the clients, 1 to 64, instead of what the configuration says.
    pub workers: Option<usize>,
    /// Writes all traffic down, with the keys to it.
    pub recorder: Option<Recorder>,
    /// The registry that it shares with other servers: it tells them of its peers, and looks theirs up. Without one, peers are
    /// looked up in memory, in what its own scripts published.
    pub registry: Option<Arc<dyn Registry>>,
}

impl Default for ServerSettings {
    /// The built-in configuration.
    fn default() -> Self {
        Self { config: Config::built_in(), listen: Vec::new(), workers: None, recorder: None, registry: None }
    }
}

/// A running server. Dropping it stops it.
pub struct Server {
    addresses: Vec<SocketAddr>,
    services: Arc<Services>,
    stop: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
    caretaker: Option<Caretaker>,
    scripts: Arc<introd_lua::Host>,
    /// The plugins look here for as long as it is there.
    _surroundings: Arc<Surroundings>,
}

impl Server {
    /// Starts a server: when this returns, it listens.
    ///
    /// # Errors
    /// If an address cannot be listened on, or a thread not be started. The message says what to do.
    pub fn start(settings: &ServerSettings) -> anyhow::Result<Self> {
        let config = &settings.config;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let or_processors = |count| if count == 0 { processors } else { count };
        let count =
            settings.workers.unwrap_or_else(|| or_processors(config.server.workers)).min(usize::from(MAX_PREFIXES));
        let listening = listen(config, &settings.listen, count)?;
        let mut listeners: Vec<Listener> = listening.iter().flatten().map(|(listener, _)| *listener).collect();
        listeners.sort_by_key(|listener| (listener.adaptor, listener.local));
        listeners.dedup();
        let addresses = listeners.iter().map(|listener| listener.local).collect();
        for Listener { local, public, .. } in &listeners {
            if let Some(public) = public {
                tracing::info!(%local, %public, "others reach this address by another");
            }
        }

        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context("the operating system has no randomness to give")?;
        let mut rng = ChaCha20Rng::from_seed(seed);
        let now = Instant::now();
        // One identity and one kind of cookie for all workers: to clients they are one server.
        let groups: Vec<Group> =
            config.default_adaptor.rtmfp.dh_groups.iter().filter_map(|id| Group::from_id(*id)).collect();
        let identity = Arc::new(Identity::ephemeral(&groups, None, true, &mut rng));
        // RFC 7425 §4.4.2.1: a client that asks for a host by name gets an identity that has the name.
        let named = host_names(config).into_iter();
        let named = named.map(|name| Arc::new(Identity::ephemeral(&groups, Some(&name), true, &mut rng)));
        let identities: Vec<_> = std::iter::once(Arc::clone(&identity)).chain(named).collect();
        let cookies = CookieJar::new(now, &mut rng);
        tracing::info!(server = %identity.peer_id(), workers = count, "starting");

        let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| mailbox()).unzip();
        let mailboxes: Arc<[_]> = senders.into();
        let counters = Arc::new(Counters::new(count as u8));
        let threads = config.server.script_threads;
        let scripts = introd_lua::HostSettings {
            threads,
            trim: Some(crate::memory::return_freed_memory),
            fatal: Some(introd_liveness::fail),
            ..introd_lua::HostSettings::default()
        };
        let wakes = Arc::clone(&mailboxes);
        let replies = Arc::new(Replies::new(count, move |worker| {
            // A worker whose mailbox is full is not asleep.
            if let Some(mailbox) = wakes.get(usize::from(worker)) {
                let _ = mailbox.try_send(Mail::Wake);
            }
        }));
        let commands = Arc::new(Switchboard::new(Arc::clone(&mailboxes), Arc::clone(&counters), Arc::clone(&replies)));
        // Before anybody can connect: a plugin that cannot do its work may be all that keeps somebody out.
        let plugins = Arc::new(Plugins::new(Arc::clone(&replies)));
        let mut config = config.clone();
        let (prepared, closed) = plugins.prepare_or_close(&mut config, None)?;
        for closed in closed {
            tracing::error!(target: CONFIGURATION, "{closed}");
        }
        let config = &config;
        plugins.add(&prepared);
        plugins.keep(prepared);
        let shared =
            match &config.server.registry.plugin {
                None => settings.registry.clone(),
                Some(_) if settings.registry.is_some() => settings.registry.clone(),
                Some(path) => Some(Arc::new(plugins.registry(path, &config.server.registry.config, &config.root)?)
                    as Arc<dyn Registry>),
            };
        let registry = shared.clone().unwrap_or_else(|| Arc::new(InMemory::default()));
        let resolving =
            ResolverSettings { timeout: config.server.registry.lookup_timeout, ..ResolverSettings::default() };
        let resolver = Resolver::start(Arc::clone(&registry), resolving, Arc::clone(&replies))
            .context("the registry's thread cannot be started")?;
        let registry: Arc<dyn Registry> = match shared {
            Some(_) => Arc::new(Timed::new(registry, config.server.registry.lookup_timeout)),
            None => registry,
        };
        let scripts = introd_lua::Host::start(scripts, commands, registry);
        let scripts = Arc::new(scripts.context("the threads of scripts cannot be started")?);
        let potential_near_addresses = near_addresses(&listeners);
        if shared.is_some() && potential_near_addresses.is_empty() {
            tracing::warn!(
                "other servers cannot send anybody here: set PublicIP in Server.xml to the address that clients reach this server by"
            );
        }
        let services = Arc::new(Services {
            directory: Directory::new(),
            counters,
            connection: Arc::new(ConnectionSettings::default()),
            max_unsent_age: config.default_adaptor.rtmfp.unsent_age,
            rates: Rates::new(&config.server.limits),
            refusals: Refusals::default(),
            applications: Arc::new(Applications::new(config.clone(), Some(Arc::clone(&scripts) as _), plugins)),
            announcer: shared.map(|registry| Announcer::new(registry, Arc::clone(&potential_near_addresses))),
            potential_near_addresses,
            resolver,
            replies,
            near_id: identity.peer_id(),
        });
        // As many threads as processors: the scheduler shares them with the workers, and no handshake waits for a free core.
        let threads = or_processors(config.server.keying_threads);
        let keying = Arc::new(KeyingPool::start(
            threads,
            groups.first().copied().unwrap_or(Group::Modp2),
            usize::try_from(config.server.limits.max_pending_handshakes).unwrap_or(usize::MAX),
        )?);
        // A client's sessions are spread over the workers; its share is of all of them.
        let sessions_by_prefix = SessionCounts::default();
        let (stop, stopped) = watch::channel(false);

        let surroundings = Arc::new(Surroundings::new(Arc::clone(&mailboxes), Arc::clone(&services)));
        let known: std::sync::Weak<dyn introd_native::Surroundings> = Arc::<Surroundings>::downgrade(&surroundings);
        services.applications.plugins().set_surroundings(known);
        let mut server = Self {
            addresses,
            services,
            stop,
            workers: Vec::new(),
            caretaker: None,
            scripts,
            _surroundings: surroundings,
        };
        let (ready, are_ready) = mpsc::channel();
        for ((index, sockets), mailbox) in listening.into_iter().enumerate().zip(receivers) {
            let mut endpoint = endpoint_config(config, identities.clone(), count);
            endpoint.session_prefix = index as u8;
            endpoint.sessions_by_prefix = sessions_by_prefix.clone();
            endpoint.cookies = Some(cookies.clone());
            endpoint.keying.log_keys = settings.recorder.is_some();
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).context("the operating system has no randomness to give")?;
            let parts = Parts {
                index: index as u8,
                endpoint: Endpoint::new(now, endpoint, seed),
                listeners: sockets.iter().map(|(listener, _)| *listener).collect(),
                sockets: sockets.into_iter().map(|(_, socket)| socket).collect(),
                mailbox,
                mailboxes: Arc::clone(&mailboxes),
                keying: Arc::clone(&keying),
                services: Arc::clone(&server.services),
                stop: stopped.clone(),
                recorder: settings.recorder.clone(),
            };
            let ready = ready.clone();
            let name = format!("worker-{index}");
            let work = move |pulse: &Pulse| parts.work(pulse.clone(), ready);
            let thread = introd_liveness::spawn_once(&name, None, AtStandstill::EndProcess, work);
            server.workers.push(thread.context("a worker's thread cannot be started")?);
        }
        drop(ready);
        for _ in 0..count {
            // None comes from one that has panicked.
            let started = are_ready.recv().map_err(std::io::Error::other).flatten();
            started.context("a worker cannot serve: raise the limit of open files (`ulimit -n`) if it is that")?;
        }
        has_spare_descriptors(SPARE_DESCRIPTORS)
            .context("the server would run out of file descriptors: raise the limit of open files (`ulimit -n`)")?;
        let applications = &server.services.applications;
        let caretaker = Caretaker::start(applications).context("the caretaker's thread cannot be started")?;
        applications.open_at_start();
        server.caretaker = Some(caretaker);
        Ok(server)
    }

    /// What takes on another configuration while the server runs, on any thread.
    pub fn reconfiguration(&self) -> Reconfiguration {
        Reconfiguration { services: Arc::clone(&self.services) }
    }

    /// As [`Reconfiguration::reconfigure`].
    ///
    /// # Errors
    /// As there.
    pub fn reconfigure(&self, config: Config) -> Result<Reconfigured, LoadError> {
        self.reconfiguration().reconfigure(config)
    }

    /// What the plugins have counted, and what the server has counted of them.
    pub fn plugin_metrics(&self) -> Vec<PluginMetric> {
        self.services.applications.plugins().metrics()
    }

    /// Where the server listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What it has counted.
    pub fn counters(&self) -> Snapshot {
        self.services.counters.snapshot()
    }

    /// How many peers are connected.
    pub fn peers(&self) -> usize {
        self.services.directory.len()
    }

    /// Closes all clients in an orderly way and waits for the workers, and then for the scripts and plugins, a few seconds at
    /// most.
    pub fn stop(&mut self) {
        self.caretaker = None;
        let _ = self.stop.send(true);
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        // After the last client has been reported gone.
        self.scripts.stop();
        self.services.applications.end_plugins();
    }
}

/// Takes on another configuration while a server runs. It reads disks: a thread that must not wait leaves it to another.
pub struct Reconfiguration {
    services: Arc<Services>,
}

/// What has become of another configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconfigured {
    /// What takes effect at the next start only.
    pub at_next_start: Vec<&'static str>,
    /// The applications that stay as they were, or turn clients away, because of a plugin that is of no use.
    pub kept: Vec<Kept>,
}

impl Reconfiguration {
    /// The configuration that holds now.
    pub fn config(&self) -> Arc<Config> {
        self.services.applications.config()
    }

    /// Takes on another configuration while it runs: what it says of adaptors' clients, virtual hosts and applications holds
    /// from now on, and nobody is disconnected. An application with a plugin that is of no use stays as it is.
    ///
    /// # Errors
    /// If a plugin that a virtual host gives to all its applications is of no use. Nothing has changed then.
    pub fn reconfigure(&self, mut config: Config) -> Result<Reconfigured, LoadError> {
        let applications = &self.services.applications;
        let plugins = applications.plugins();
        let (prepared, kept) = plugins.prepare_or_close(&mut config, Some(&applications.config()))?;
        let at_next_start = needs_restart(&applications.config(), &config);
        plugins.add(&prepared);
        applications.reconfigure(config);
        plugins.keep(prepared);
        applications.open_at_start();
        Ok(Reconfigured { at_next_start, kept })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Where others reach the server. One that listens on every address of this machine is reached, as far as it can tell, by the
/// one from which it reaches others.
fn near_addresses(listeners: &[Listener]) -> Arc<[SocketAddr]> {
    // Any address beyond this machine tells which interface leads out; nothing is sent to it.
    const BEYOND: [SocketAddr; 2] = [
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 1),
        SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 1),
    ];
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for listener in listeners {
        let leading_out = || {
            let ip = LocalAddress::towards(BEYOND[usize::from(listener.local.is_ipv6())])?;
            Some(SocketAddr::new(ip, listener.local.port()))
        };
        addresses.extend(listener.advertised().or_else(leading_out).filter(|address| !addresses.contains(address)));
    }
    addresses.into()
}

/// How many hellos are forwarded to one client at once, at least. Half of them may come from one network: as many as a group has
/// members there that hear of the client at the same time.
const FORWARD_BURST: u32 = 128;

/// What an endpoint is told, one of `workers`.
fn endpoint_config(config: &Config, identities: Vec<Arc<Identity>>, workers: usize) -> EndpointConfig {
    let (limits, rtmfp) = (&config.server.limits, &config.default_adaptor.rtmfp);
    let mut endpoint = EndpointConfig::server(identities);
    if let Some(most) = limits.max_sessions {
        endpoint.max_sessions = usize::try_from(most).unwrap_or(usize::MAX).div_ceil(workers).max(1);
    }
    let share = limits.max_sessions_per_address.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
    endpoint.max_sessions_per_prefix = share.unwrap_or(usize::MAX);
    // Sessions stay with their worker, so each has its part of it; one that is filled on purpose costs those who fill it.
    endpoint.max_buffered =
        limits.max_buffered.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX).div_ceil(workers));
    let jobs = usize::try_from(limits.max_pending_handshakes).unwrap_or(usize::MAX);
    endpoint.max_keying_jobs = jobs.div_ceil(workers).max(1);
    endpoint.forwarded_hello = match rtmfp.forwarded_hello {
        introd_config::ForwardedHello::RespondHello => ForwardedHello::RespondHello,
        introd_config::ForwardedHello::Redirect => ForwardedHello::ImpliedRedirect,
        introd_config::ForwardedHello::Ignore => ForwardedHello::Ignore,
    };
    endpoint.max_work = limits
        .max_session_work
        .map(|most| NonZeroU32::new(u32::try_from(most).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN));
    endpoint.max_forwards = limits.max_forward_rate.map(|rate| {
        let per_second = u32::try_from(rate).unwrap_or(u32::MAX).max(1);
        Rate { burst: per_second.max(FORWARD_BURST), per_second }
    });
    endpoint.silence_limit = rtmfp.dead_peer_timeout;
    endpoint.keepalive = rtmfp.dead_peer_timeout / 2;
    // Clients send commands, not media: what they can make the server keep is small.
    endpoint.flow = Arc::new(FlowConfig {
        receive_buffer: 256 << 10,
        session_receive_buffer: 1 << 20,
        max_message: 1 << 20,
        send_buffer: rtmfp.send_buffer,
        ..FlowConfig::default()
    });
    endpoint
}

/// The names by which clients may ask for this server: those of its virtual hosts.
fn host_names(config: &Config) -> BTreeSet<String> {
    let vhosts = config.all_adaptors().flat_map(Adaptor::all_vhosts);
    vhosts.flat_map(|vhost| &vhost.aliases).take(MAX_HOST_NAMES).cloned().collect()
}

/// What differs between two configurations and is read at the start only.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let mut pending = Vec::new();
    let listens = |config: &Config| -> Vec<_> {
        config.all_adaptors().map(|adaptor| (adaptor.listen.clone(), adaptor.core_ports.clone())).collect()
    };
    if listens(old) != listens(new) {
        pending.push("the addresses to listen on");
    }
    let threads = |config: &Config| {
        let server = &config.server;
        (server.workers, server.script_threads, server.keying_threads)
    };
    if threads(old) != threads(new) {
        pending.push("the numbers of threads");
    }
    if old.server.limits != new.server.limits {
        pending.push("the limits of Server.xml");
    }
    if old.server.registry != new.server.registry {
        pending.push("the registry");
    }
    if host_names(old) != host_names(new) {
        pending.push("the names of virtual hosts in endpoint discriminators");
    }
    let endpoint = |config: &Config| {
        let rtmfp = &config.default_adaptor.rtmfp;
        (rtmfp.dh_groups.clone(), rtmfp.dead_peer_timeout, rtmfp.send_buffer, rtmfp.forwarded_hello)
    };
    if endpoint(old) != endpoint(new) {
        pending.push("the Diffie-Hellman groups, the timeout, the send buffer and the forwarding of RTMFP");
    }
    pending
}

/// A worker on its way to its thread.
struct Parts {
    index: u8,
    endpoint: Endpoint,
    listeners: Vec<Listener>,
    sockets: Vec<UdpSocket>,
    mailbox: tokio::sync::mpsc::Receiver<Mail>,
    mailboxes: Arc<[MailSender]>,
    keying: Arc<KeyingPool>,
    services: Arc<Services>,
    stop: watch::Receiver<bool>,
    recorder: Option<Recorder>,
}

impl Parts {
    /// Works until the server stops; says through `ready` whether it can.
    fn work(self, pulse: Pulse, ready: mpsc::Sender<std::io::Result<()>>) -> anyhow::Result<()> {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return Ok(ready.send(Err(error))?),
        };
        runtime.block_on(async {
            let ports = match Ports::new(self.sockets) {
                Ok(ports) => ports,
                Err(error) => return Ok(ready.send(Err(error))?),
            };
            let worker = Worker::new(WorkerParts {
                index: self.index,
                endpoint: self.endpoint,
                ports,
                listeners: self.listeners,
                mailbox: self.mailbox,
                mailboxes: self.mailboxes,
                keying: self.keying,
                services: self.services,
                stop: self.stop,
                recorder: self.recorder,
                pulse,
            });
            let _ = ready.send(Ok(()));
            drop(ready);
            worker.run().await.context("a socket is of no use any more; its clients are lost")
        })
    }
}

/// Scripts, lists and configurations are read while the server runs, and plugins connect to elsewhere.
const SPARE_DESCRIPTORS: usize = 8;

/// Can so many more files be opened? A server that has just enough for its start works, but cannot load a script.
pub(crate) fn has_spare_descriptors(count: usize) -> std::io::Result<()> {
    let null = std::fs::File::open("/dev/null")?;
    (0..count).map(|_| null.try_clone()).collect::<std::io::Result<Vec<_>>>().map(drop)
}
