//! A server: its start, its reload and its stop.

mod descriptors;
mod endpoint;
mod identities;
mod reconfiguration;
mod services;
mod settings;
mod takeover;
mod worker_thread;

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use introd_config::Config;
use introd_liveness::{AtStandstill, Pulse};
use introd_native::{LoadError, PluginMetric};
use introd_udp::{CAN_SHARE_PORTS, UdpSocket};
use rtmfp::crypto::Group;
use rtmfp::{Endpoint, MAX_PREFIXES, SessionCounts};
use tokio::sync::{oneshot, watch};

use crate::admin::{Administration, Inspector};
use crate::apps::Caretaker;
use crate::http_requests::HttpService;
use crate::introducer::Snapshot;
use crate::memory::MemoryCare;
use crate::netconnections::{NetConnectionCounts, NetConnectionService};
use crate::network::{Listener, NetworkWatcher};
use crate::relay::{Relay, RelayFigures};
use crate::serve::{
    Inheritance, KeyingPool, Listening, PluginAccess, Services, as_configured, listen, listening_addresses, mailbox,
};
use crate::service_manager::PassedSockets;
use crate::takeover::{Estate, Offer};
use descriptors::SPARE_DESCRIPTORS;
use endpoint::endpoint_config;
use identities::{ServerIdentities, random_seed};
use services::Shared;
use takeover::{Inheritances, WorkerHeir};
use worker_thread::WorkerThread;

pub(crate) use descriptors::has_spare_descriptors;
pub use reconfiguration::{Reconfiguration, Reconfigured};
pub use settings::ServerSettings;
pub use takeover::Heir;

/// A running server. Dropping it stops it.
pub struct Server {
    addresses: Vec<SocketAddr>,
    services: Arc<Services>,
    stop: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
    caretaker: Option<Caretaker>,
    administration: Option<Administration>,
    network_watcher: Option<NetworkWatcher>,
    scripts: Arc<introd_lua::Host>,
    net_connections: Arc<NetConnectionService>,
    http: Arc<HttpService>,
    /// Where the administration will listen, and what it will read, until it is opened.
    administration_to_open: Option<(Vec<SocketAddr>, PassedSockets, Inspector)>,
    /// What it leaves to another process that takes over.
    estate: Option<Estate>,
    /// The plugins have access to the server until this is dropped.
    _plugin_access: Arc<PluginAccess>,
}

impl Server {
    /// Starts a server, which listens when this returns.
    ///
    /// # Errors
    /// If the server cannot listen on an address or cannot start a thread. The message says what to do.
    pub fn start(settings: &ServerSettings) -> anyhow::Result<Self> {
        let (mut server, ..) = Self::begin(settings, None)?;
        server.services.applications.open_at_start();
        server.open_administration(Duration::ZERO)?;
        Ok(server)
    }

    /// Starts everything but the administration and the instances that run from the start. With an offer, the workers wait for the sessions of
    /// the process that has made it: then there is something for each of them to wait for, and the results come by the channel.
    fn begin(settings: &ServerSettings, offer: Option<Offer>) -> anyhow::Result<(Self, Vec<WorkerHeir>, Inheritances)> {
        let config = &settings.config;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let or_processors = |count| if count == 0 { processors } else { count };
        settings.passed.check_use(&listening_addresses(config, &settings.listen), &settings.admin)?;
        let configured = settings.workers.unwrap_or(config.server.workers);
        let wanted = if configured == 0 { settings.passed.workers().unwrap_or(processors) } else { configured };
        let wanted = sharing_ports(wanted.min(usize::from(MAX_PREFIXES)), configured > 1);
        let now = Instant::now();
        let (listening, identities, offered) = match offer {
            None => {
                let listening = listen(config, &settings.listen, &settings.passed, wanted)?;
                (listening, ServerIdentities::new(config, now)?, None)
            }
            Some(Offer { listening, certificates, cookies, services }) => {
                let listening = as_configured(config, &settings.listen, listening)?;
                (listening, ServerIdentities::taken_over(config, &certificates, cookies)?, Some(services))
            }
        };
        let (is_heir, count) = (offered.is_some(), listening.len());
        if count != wanted {
            tracing::warn!(
                workers = count,
                "the number of workers stays as it was, because ids of sessions name them: for {wanted} workers restart the server"
            );
        }
        let mut listeners: Vec<Listener> = listening.iter().flatten().map(|(listener, _)| *listener).collect();
        listeners.sort_by_key(|listener| (listener.adaptor, listener.local));
        listeners.dedup();
        let addresses = listeners.iter().map(|listener| listener.local).collect();
        tracing::info!(server = %identities.peer_id, workers = count, "starting");

        let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| mailbox()).unzip();
        let mailboxes: Arc<[_]> = senders.into();
        let Shared { services, scripts, net_connections, http, config } =
            Shared::start(settings, &mailboxes, &listeners, identities.peer_id, offered)?;
        // As many threads as processors: the scheduler shares them with the workers, and no handshake waits for a free core.
        let keying = Arc::new(KeyingPool::start(
            or_processors(config.server.keying_threads),
            identities.groups.first().copied().unwrap_or(Group::Modp2),
            usize::try_from(config.server.limits.max_pending_handshakes).unwrap_or(usize::MAX),
        )?);
        // A client's sessions are spread over the workers; its share is of all of them.
        let sessions_by_prefix = SessionCounts::default();
        let (stop, stopped) = watch::channel(false);

        let plugin_access = Arc::new(PluginAccess::new(Arc::clone(&mailboxes), Arc::clone(&services)));
        let known: std::sync::Weak<dyn introd_native::ServerAccess> = Arc::<PluginAccess>::downgrade(&plugin_access);
        services.applications.plugins().set_server_access(known);
        let mut server = Self {
            addresses,
            services,
            stop,
            workers: Vec::new(),
            caretaker: None,
            administration: None,
            network_watcher: None,
            scripts,
            net_connections,
            http,
            administration_to_open: None,
            estate: None,
            _plugin_access: plugin_access,
        };
        if settings.can_be_taken_over {
            server.estate = Some(Estate {
                sockets: shared_sockets(&listening)?,
                certificates: identities.certificates(),
                cookies: identities.cookies.clone(),
                mailboxes: Arc::clone(&mailboxes),
                applications: Arc::clone(&server.services.applications),
                directory: Arc::clone(&server.services.directory),
                relay: server.services.relay.clone(),
                registry: server.services.announcer.as_ref().map(|announcer| Arc::clone(announcer.registry())),
                drain: Arc::clone(&server.services.drain),
            });
        }
        let (ready, are_ready) = mpsc::channel();
        let (done, are_done) = mpsc::channel();
        let mut heirs = Vec::new();
        for ((index, sockets), mailbox) in (0..).zip(listening).zip(receivers) {
            let mut endpoint = endpoint_config(&config, identities.all.clone(), count);
            endpoint.session_prefix = index;
            endpoint.sessions_by_prefix = sessions_by_prefix.clone();
            endpoint.cookies = Some(identities.cookies.clone());
            endpoint.keying.log_keys = settings.recorder.is_some();
            let inheritance = is_heir.then(|| {
                // Each of the two ends waits for the other, so that little is underway between them.
                let ((state, of_state), (go, of_go)) = (mpsc::sync_channel(1), oneshot::channel());
                heirs.push(WorkerHeir { state, go });
                Inheritance { state: of_state, done: done.clone(), go: of_go }
            });
            let worker = WorkerThread {
                inheritance,
                index,
                endpoint: Endpoint::new(now, endpoint, random_seed()?),
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
            let work = move |pulse: &Pulse| worker.work(pulse.clone(), ready);
            let thread = introd_liveness::spawn_once(&name, None, AtStandstill::EndProcess, work);
            server.workers.push(thread.context("a worker's thread cannot be started")?);
        }
        drop(ready);
        for _ in 0..count {
            // The channel ends without a message if a worker has panicked.
            let started = are_ready.recv().map_err(std::io::Error::other).flatten();
            started.context("a worker cannot serve: raise the limit of open files (`ulimit -n`) if it is that")?;
        }
        has_spare_descriptors(SPARE_DESCRIPTORS)
            .context("the server would run out of file descriptors: raise the limit of open files (`ulimit -n`)")?;
        let applications = &server.services.applications;
        let (services, mut memory) = (Arc::downgrade(&server.services), MemoryCare::default());
        let caretaker = Caretaker::start(applications, move |now| {
            if let Some(services) = services.upgrade() {
                memory.look(now, services.directory.len());
            }
        });
        let caretaker = caretaker.context("the caretaker's thread cannot be started")?;
        server.caretaker = Some(caretaker);
        let watcher = NetworkWatcher::start(Arc::clone(&server.services.network));
        server.network_watcher = Some(watcher.context("the network's thread cannot be started")?);
        if !settings.admin.is_empty() {
            let counters = Arc::clone(server.net_connections.counters());
            let inspector = Inspector::new(
                Arc::clone(&server.services),
                counters,
                server.http.counters(),
                mailboxes,
                keying,
                server.addresses.clone(),
            );
            server.administration_to_open = Some((settings.admin.clone(), settings.passed.clone(), inspector));
        }
        Ok((server, heirs, are_done))
    }

    /// Opens the administration. Its addresses may be in use for so long.
    fn open_administration(&mut self, patience: Duration) -> anyhow::Result<()> {
        if let Some((addresses, passed, inspector)) = self.administration_to_open.take() {
            let administration = Administration::start(&addresses, &passed, inspector, patience);
            self.administration = Some(administration.context("the administration's thread cannot be started")?);
        }
        Ok(())
    }

    /// A handle that changes the configuration while the server runs, on any thread.
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

    /// The metrics of the plugins, and the server's own metrics of them.
    pub fn plugin_metrics(&self) -> Vec<PluginMetric> {
        self.services.applications.plugins().metrics()
    }

    /// Where the server listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where the administration listens. An address that was not free at the start is left out.
    pub fn admin_addresses(&self) -> &[SocketAddr] {
        self.administration.as_ref().map_or(&[], Administration::addresses)
    }

    /// The values of the server's counters.
    pub fn counters(&self) -> Snapshot {
        self.services.counters.snapshot()
    }

    /// What the NetConnections of scripts have refused and lost.
    pub fn net_connection_counters(&self) -> NetConnectionCounts {
        self.net_connections.counters().counts()
    }

    /// The relay for peers that cannot meet, if there is one.
    pub fn relay(&self) -> Option<&Relay> {
        self.services.relay.as_deref()
    }

    /// What the relay did and has, if there is one.
    pub fn relay_figures(&self) -> Option<RelayFigures> {
        self.services.relay.as_ref().map(|relay| relay.figures())
    }

    /// How many peers are connected.
    pub fn peers(&self) -> usize {
        self.services.directory.len()
    }

    /// Whether the server drains: it takes no new clients.
    pub fn is_draining(&self) -> bool {
        self.services.drain.order().is_some()
    }

    /// Whether a drain is over: the server should stop.
    pub fn has_drained(&self) -> bool {
        self.services.drain.is_over(Instant::now())
    }

    /// Closes all clients in an orderly way and waits for the workers, and then for the scripts and plugins, a few seconds at
    /// most.
    pub fn stop(&mut self) {
        self.administration = None;
        self.caretaker = None;
        self.network_watcher = None;
        let _ = self.stop.send(true);
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        if let Some(relay) = &self.services.relay {
            relay.stop();
        }
        // The plugins end after the last client has been reported gone.
        self.scripts.stop();
        self.net_connections.stop();
        self.http.stop();
        self.services.applications.end_plugins();
    }
}

/// The sockets of all workers once more, for another process.
fn shared_sockets(listening: &Listening) -> anyhow::Result<Vec<Vec<(Listener, OwnedFd)>>> {
    let again = |(listener, socket): &(Listener, UdpSocket)| Ok((*listener, socket.as_fd().try_clone_to_owned()?));
    let all = listening.iter().map(|of_worker| of_worker.iter().map(again).collect()).collect::<std::io::Result<_>>();
    all.context(
        "the sockets cannot be kept for another process: raise the limit of open files (`ulimit -n`) if it is that",
    )
}

/// How many workers serve, where so many are wanted: one if this system does not spread the datagrams of a port over several sockets.
fn sharing_ports(wanted: usize, is_configured: bool) -> usize {
    if CAN_SHARE_PORTS || wanted <= 1 {
        return wanted;
    }
    if is_configured {
        tracing::warn!(wanted, "one worker serves: on this system several workers cannot share a port");
    }
    1
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
