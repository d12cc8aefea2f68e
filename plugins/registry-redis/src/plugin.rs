//! The registry as a plugin of introd: a thin layer over [`Registry`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use introd_plugin::{
    Address, Config, Counter, CreateError, Gauge, GroupMember, GroupRegistryPlugin, Host, InForce, Later, Level,
    MembersVerdict, NeighborQuery, PeerId, PeerSession, Plugin, RegistryError, RegistryPlugin, RegistryServer,
    RegistryVerdict, Reply,
};

use crate::answer::Answer;
use crate::neighbors::Neighbors;
use crate::registry::Registry;
use crate::settings::Settings;
use crate::shared::Severity;
use crate::stats::MetricKind;

/// How often the server receives the metrics.
const REPORT_EVERY: Duration = Duration::from_millis(500);

/// The plugin, for `PeerRegistry/Plugin` in Server.xml.
pub struct RedisRegistry {
    registry: Arc<Registry>,
    reporter: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Plugin for RedisRegistry {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");

    fn create(host: Host, config: &Config<'_>) -> Result<Self, CreateError> {
        let settings = settings(config)?;
        let log = move |severity, text: &str| {
            let level = match severity {
                Severity::Error => Level::Error,
                Severity::Warning => Level::Warn,
                Severity::Info => Level::Info,
            };
            host.log(level, text);
        };
        let registry = Arc::new(match config.handed_over() {
            Some(state) => Registry::take_over(state, settings, Box::new(log))?,
            None => Registry::start(settings, Box::new(log))?,
        });
        let reporter = report(host, Arc::clone(&registry))?;
        Ok(Self { registry, reporter: Some(reporter) })
    }
}

impl RegistryPlugin for RedisRegistry {
    fn publish(&self, peer: PeerId, addresses: &[Address]) -> Result<(), RegistryError> {
        self.registry.publish(peer, addresses).map_err(|_| RegistryError::Full)
    }

    fn publish_session(&self, peer: PeerId, addresses: &[Address], session: PeerSession) -> Result<(), RegistryError> {
        self.registry.publish_session(peer, addresses, session).map_err(|_| RegistryError::Full)
    }

    fn withdraw(&self, peer: PeerId) -> Result<(), RegistryError> {
        self.registry.withdraw(peer);
        Ok(())
    }

    fn find(&self, peer: PeerId, later: Later<'_, RegistryVerdict>) -> Reply<RegistryVerdict> {
        let mut deferred = None;
        let answer = self.registry.find(peer, || {
            let (completion, reply) = later.defer().ok()?;
            deferred = Some(reply);
            Some(Box::new(move |answer: Answer| {
                // It is no error if the answer comes too late.
                let _ = match answer {
                    Ok(Some(addresses)) => completion.complete(RegistryVerdict::Found(addresses)),
                    Ok(None) => completion.complete(RegistryVerdict::NotFound),
                    Err(failure) => completion.fail(&failure.to_string()),
                };
            }))
        });
        match (answer, deferred) {
            (None, Some(reply)) => reply,
            (Some(Ok(Some(addresses))), _) => RegistryVerdict::Found(addresses).into(),
            (Some(Ok(None)), _) => RegistryVerdict::NotFound.into(),
            (Some(Err(failure)), _) => Reply::Failed(failure.to_string()),
            (None, None) => Reply::Failed("too many verdicts are pending".to_owned()),
        }
    }

    fn reconfigure(&self, config: &Config<'_>) -> Result<InForce, CreateError> {
        let is_all = self.registry.reconfigure(&settings(config)?)?;
        Ok(if is_all { InForce::Now } else { InForce::AtNextStart })
    }

    fn servers(&self) -> Option<Vec<RegistryServer>> {
        let own = self.registry.server().as_bytes();
        let servers = self.registry.servers()?.into_iter().map(|server| RegistryServer {
            is_self: server.name == own,
            is_alive: server.is_alive,
            name: String::from_utf8_lossy(&server.name).into_owned(),
        });
        Some(servers.collect())
    }

    fn hand_over(&self) -> Option<Vec<u8>> {
        Some(self.registry.hand_over())
    }

    fn took_over(&self, state: &[u8]) {
        self.registry.took_over(state);
    }

    fn handed_over(&self) {
        self.registry.handed_over();
    }
}

impl GroupRegistryPlugin for RedisRegistry {
    fn join_group(&self, member: &GroupMember) -> Result<(), RegistryError> {
        self.registry.join_group(member).map_err(|_| RegistryError::Full)
    }

    fn leave_group(&self, member: &GroupMember) -> Result<(), RegistryError> {
        self.registry.leave_group(member);
        Ok(())
    }

    fn group_neighbors(&self, query: &NeighborQuery, later: Later<'_, MembersVerdict>) -> Reply<MembersVerdict> {
        let mut deferred = None;
        let answer = self.registry.group_neighbors(query, || {
            let (completion, reply) = later.defer().ok()?;
            deferred = Some(reply);
            Some(Box::new(move |answer: Neighbors| {
                // It is no error if the answer comes too late.
                let _ = match answer {
                    Ok(members) => completion.complete(MembersVerdict(members)),
                    Err(failure) => completion.fail(&failure.to_string()),
                };
            }))
        });
        match (answer, deferred) {
            (None, Some(reply)) => reply,
            (Some(Ok(members)), _) => MembersVerdict(members).into(),
            (Some(Err(failure)), _) => Reply::Failed(failure.to_string()),
            (None, None) => Reply::Failed("too many verdicts are pending".to_owned()),
        }
    }
}

/// The settings in the configuration.
fn settings(config: &Config<'_>) -> Result<Settings, CreateError> {
    let mut settings: Settings = config.parse()?;
    for file in [&mut settings.ca_file, &mut settings.certificate_file, &mut settings.key_file] {
        *file = file.take().map(|path| config.path(path));
    }
    Ok(settings)
}

/// A metric of the server, and for a counter the value that it has there.
enum ServerMetric {
    Counter(Counter, u64),
    Gauge(Gauge),
}

/// Starts a thread that reports the metrics to the server until the plugin ends.
fn report(host: Host, registry: Arc<Registry>) -> Result<(Arc<AtomicBool>, JoinHandle<()>), CreateError> {
    let mut metrics = Vec::new();
    for (name, kind, help, _) in registry.stats().all() {
        // If the host has no metrics, or too many already, this one is not reported.
        metrics.push(match kind {
            MetricKind::Counter => host.counter(name, help).ok().map(|counter| ServerMetric::Counter(counter, 0)),
            MetricKind::Gauge => host.gauge(name, help).ok().map(ServerMetric::Gauge),
        });
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&is_over);
    let work = move || {
        while !stop.load(Ordering::Relaxed) {
            for (metric, (.., value)) in metrics.iter_mut().zip(registry.stats().all()) {
                match metric {
                    Some(ServerMetric::Counter(counter, reported)) => {
                        counter.add(u32::try_from(value.saturating_sub(*reported)).unwrap_or(u32::MAX));
                        *reported = value;
                    }
                    Some(ServerMetric::Gauge(gauge)) => gauge.set(i64::try_from(value).unwrap_or(i64::MAX)),
                    None => (),
                }
            }
            std::thread::park_timeout(REPORT_EVERY);
        }
    };
    let thread = std::thread::Builder::new().name("registry-metrics".into()).spawn(work)?;
    Ok((is_over, thread))
}

impl Drop for RedisRegistry {
    fn drop(&mut self) {
        if let Some((is_over, thread)) = self.reporter.take() {
            is_over.store(true, Ordering::Relaxed);
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

introd_plugin::export!(RedisRegistry, registry, group_registry);
