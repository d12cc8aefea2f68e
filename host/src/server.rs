//! Builds the server from its settings, and owns its start and its stop.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::Context as _;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rtmfp::crypto::{CookieJar, Group, Identity};
use rtmfp::{Config, Endpoint, MAX_PREFIXES};
use tokio::sync::watch;

use crate::flash::server::Settings;
use crate::introducer::{Counters, Directory, Snapshot};
use crate::net::{BufferSizes, KeepaliveTimers, KeyingPool, Ports, Services, UdpSocket, Worker, bind_workers, mailbox};
use crate::record::Recorder;

/// RTMFP's port (RFC 7425 §6.1).
pub const DEFAULT_PORT: u16 = 1935;

/// What a server is told when it starts.
#[derive(Clone)]
pub struct ServerSettings {
    /// The addresses to listen on. Empty means port 1935 on every IPv4 and IPv6 address.
    pub listen: Vec<SocketAddr>,
    /// How many workers share the clients: 1 to 64. 0 means one per processor.
    pub workers: usize,
    /// The Diffie-Hellman groups to offer.
    pub groups: Vec<Group>,
    /// Writes all traffic down, with the keys to it.
    pub recorder: Option<Recorder>,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self { listen: Vec::new(), workers: 0, groups: vec![Group::Modp2, Group::Modp5, Group::Modp14], recorder: None }
    }
}

/// A running server. Dropping it stops it.
pub struct Server {
    addresses: Vec<SocketAddr>,
    services: Arc<Services>,
    stop: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts a server: when this returns, it listens.
    ///
    /// # Errors
    /// If an address cannot be listened on, or a thread not be started. The message says what to do.
    pub fn start(settings: &ServerSettings) -> anyhow::Result<Self> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let count = if settings.workers == 0 { processors } else { settings.workers };
        let count = count.min(usize::from(MAX_PREFIXES));
        let sockets = bind(&settings.listen, count)?;
        let addresses = sockets.first().into_iter().flatten().map(UdpSocket::local_address).collect();

        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context("the operating system has no randomness to give")?;
        let mut rng = ChaCha20Rng::from_seed(seed);
        let now = Instant::now();
        // One identity and one kind of cookie for all workers: to clients they are one server.
        let identity = Arc::new(Identity::ephemeral(&settings.groups, None, true, &mut rng));
        let cookies = CookieJar::new(now, &mut rng);
        tracing::info!(server = %identity.peer_id(), workers = count, "starting");

        let services = Arc::new(Services {
            directory: Directory::new(),
            counters: Counters::new(count as u8),
            connection: Arc::new(Settings::default()),
            keepalive: KeepaliveTimers::default(),
        });
        // As many threads as processors: the scheduler shares them with the workers, and no handshake waits for a free core.
        let keying = Arc::new(KeyingPool::start(processors, settings.groups.first().copied().unwrap_or(Group::Modp2))?);
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| mailbox()).unzip();
        let mailboxes: Arc<[_]> = senders.into();
        let (stop, stopped) = watch::channel(false);

        let mut server = Self { addresses, services, stop, workers: Vec::new() };
        for ((index, sockets), mailbox) in sockets.into_iter().enumerate().zip(receivers) {
            let mut config = Config::server(vec![Arc::clone(&identity)]);
            config.session_prefix = index as u8;
            config.cookies = Some(cookies.clone());
            config.keying.log_keys = settings.recorder.is_some();
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).context("the operating system has no randomness to give")?;
            let parts = Parts {
                index: index as u8,
                endpoint: Endpoint::new(now, config, seed),
                sockets,
                mailbox,
                mailboxes: Arc::clone(&mailboxes),
                keying: Arc::clone(&keying),
                services: Arc::clone(&server.services),
                stop: stopped.clone(),
                recorder: settings.recorder.clone(),
            };
            let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || parts.work());
            server.workers.push(thread.context("a worker's thread cannot be started")?);
        }
        Ok(server)
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

    /// Closes all clients in an orderly way and waits for the workers, a few seconds at most.
    pub fn stop(&mut self) {
        let _ = self.stop.send(true);
        for worker in self.workers.drain(..) {
            if worker.join().is_err() {
                tracing::error!("a worker panicked");
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn bind(listen: &[SocketAddr], workers: usize) -> anyhow::Result<Vec<Vec<UdpSocket>>> {
    if !listen.is_empty() {
        return Ok(bind_workers(listen, workers, BufferSizes::default())?);
    }
    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT));
    let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, DEFAULT_PORT));
    match bind_workers(&[v4, v6], workers, BufferSizes::default()) {
        Ok(sockets) => Ok(sockets),
        Err(error) if error.is_ipv6_missing() => {
            tracing::warn!("this machine has no IPv6: listening on IPv4 only");
            Ok(bind_workers(&[v4], workers, BufferSizes::default())?)
        }
        Err(error) => Err(error.into()),
    }
}

/// A worker on its way to its thread.
struct Parts {
    index: u8,
    endpoint: Endpoint,
    sockets: Vec<UdpSocket>,
    mailbox: tokio::sync::mpsc::Receiver<crate::net::Mail>,
    mailboxes: Arc<[crate::net::MailSender]>,
    keying: Arc<KeyingPool>,
    services: Arc<Services>,
    stop: watch::Receiver<bool>,
    recorder: Option<Recorder>,
}

impl Parts {
    fn work(self) {
        let index = self.index;
        let result = tokio::runtime::Builder::new_current_thread().enable_all().build().and_then(|runtime| {
            runtime.block_on(async {
                let worker = Worker {
                    index,
                    endpoint: self.endpoint,
                    ports: Ports::new(self.sockets)?,
                    mailbox: self.mailbox,
                    mailboxes: self.mailboxes,
                    keying: self.keying,
                    services: self.services,
                    stop: self.stop,
                    recorder: self.recorder,
                };
                worker.run().await
            })
        });
        if let Err(error) = result {
            tracing::error!(worker = index, %error, "a worker cannot go on; its clients are lost");
        }
    }
}
