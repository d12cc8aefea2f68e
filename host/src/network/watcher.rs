//! The thread that looks at the network again.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use introd_liveness::{AtStandstill, BEAT, Pulse};
use introd_udp::NetworkChanges;
use tokio::sync::watch;
use tokio::time::Instant;

use super::known::Network;

/// A change of the network comes with others: the network is looked at when they are over.
const SETTLING: Duration = Duration::from_millis(500);
/// How often the network is looked at if the kernel tells of no changes.
const POLL: Duration = Duration::from_secs(60);
/// How often the name of `PublicIP` is looked up.
const NAME_INTERVAL: Duration = Duration::from_secs(300);
/// How soon it is looked up again after it was not found.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// How long the thread of a lookup lives on without work.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The addresses that a name turned out to have; none if it has none now.
type Found = Pin<Box<dyn Future<Output = Vec<IpAddr>> + Send>>;

/// A running watch over the network. Dropping it ends the watch.
pub struct NetworkWatcher {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl NetworkWatcher {
    /// Starts the thread, which tells `network` to look again.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(network: Arc<Network>) -> io::Result<Self> {
        let (stop, stopping) = watch::channel(false);
        let work = move |pulse: &Pulse| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                // Lookups of names block. There is one at a time, and perhaps one that hangs.
                .max_blocking_threads(2)
                .thread_name("network-lookup")
                .thread_keep_alive(KEEP_ALIVE)
                .build()?;
            runtime.block_on(async { Watch::new(&network).run(pulse, stopping.clone()).await });
            // A lookup of a name that hangs is left behind.
            runtime.shutdown_background();
            Ok(())
        };
        // Nothing is lost by a restart, and clients do not depend on it.
        let thread = introd_liveness::spawn("network", AtStandstill::Say, work)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for NetworkWatcher {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The watch over the network.
struct Watch<'a> {
    network: &'a Network,
    /// `None` if the kernel does not tell of changes.
    changes: Option<NetworkChanges>,
    /// When to look at the network, because something has changed or because nobody tells of changes.
    look_at: Option<Instant>,
    /// When to look up the name of `PublicIP`, and which name was looked up last.
    lookup_at: Instant,
    last_name: Option<String>,
    /// The lookup under way, and the name.
    lookup: Option<(String, Found)>,
    is_name_lost: bool,
}

impl<'a> Watch<'a> {
    fn new(network: &'a Network) -> Self {
        let changes = NetworkChanges::new();
        if let Err(error) = &changes {
            tracing::info!(%error, "the system does not tell of changes of the network: the server looks at it every minute");
        }
        // What has changed since the start, before this watch began, is found by the first look.
        let now = Instant::now();
        Self {
            network,
            changes: changes.ok(),
            look_at: Some(now),
            lookup_at: now + RETRY_INTERVAL,
            last_name: network.host_name(),
            lookup: None,
            is_name_lost: false,
        }
    }

    async fn run(mut self, pulse: &Pulse, mut stopping: watch::Receiver<bool>) {
        let mut beats = tokio::time::interval(BEAT / 4);
        loop {
            let is_settled = self.look_at.is_none();
            tokio::select! {
                _ = beats.tick() => {
                    pulse.beat();
                    self.tick(Instant::now());
                }
                // Further changes wait until the network is looked at: a flood of them costs nothing.
                result = changed(&mut self.changes), if is_settled => self.has_changed(result),
                found = answer(&mut self.lookup) => self.found(&found),
                // If the sender is gone, the server is as well.
                _ = stopping.wait_for(|stopped| *stopped) => break,
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        if self.look_at.is_some_and(|at| now >= at) {
            self.look_at = self.changes.is_none().then(|| now + POLL);
            self.network.look();
        }
        self.network.judge_crowds();
        let name = self.network.host_name();
        if self.lookup.is_none() && (now >= self.lookup_at || name != self.last_name) {
            self.lookup_at = now + RETRY_INTERVAL;
            self.lookup = name.clone().map(|name| (name.clone(), look_up(name)));
            self.last_name = name;
        }
    }

    fn has_changed(&mut self, result: io::Result<()>) {
        let now = Instant::now();
        match result {
            Ok(()) => self.look_at = Some(now + SETTLING),
            Err(error) => {
                tracing::warn!(%error, "the system tells of changes of the network no more: the server looks at it every minute");
                self.changes = None;
                self.look_at = Some(now);
            }
        }
    }

    fn found(&mut self, addresses: &[IpAddr]) {
        let Some((name, _)) = self.lookup.take() else { return };
        let is_found = self.network.name_resolved(&name, addresses);
        self.lookup_at = Instant::now() + if is_found { NAME_INTERVAL } else { RETRY_INTERVAL };
        if !is_found && !self.is_name_lost {
            tracing::warn!(
                host = name,
                "the host that PublicIP names has no address now; the server keeps the last one, if it had any, and tries again"
            );
        } else if is_found && self.is_name_lost {
            tracing::info!(host = name, "the host that PublicIP names has an address again");
        }
        self.is_name_lost = !is_found;
    }
}

/// Waits for the next change, for ever if nobody tells of changes.
async fn changed(changes: &mut Option<NetworkChanges>) -> io::Result<()> {
    match changes {
        Some(changes) => changes.changed().await,
        None => std::future::pending().await,
    }
}

/// Waits for the answer to the lookup under way, for ever if there is none.
async fn answer(lookup: &mut Option<(String, Found)>) -> Vec<IpAddr> {
    match lookup {
        Some((_, found)) => found.await,
        None => std::future::pending().await,
    }
}

/// Looks a name up by the system, on another thread.
fn look_up(name: String) -> Found {
    Box::pin(async move {
        match tokio::net::lookup_host((name.as_str(), 0)).await {
            Ok(found) => found.map(|address| address.ip()).collect(),
            Err(error) => {
                tracing::debug!(%name, %error, "a name was not found");
                Vec::new()
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use introd_config::PublicHost;

    use super::super::listener::Listener;
    use super::*;

    #[test]
    fn a_name_that_a_reload_brings_is_looked_up_and_the_watch_ends_when_it_is_told_to() {
        let listener = Listener { adaptor: 0, local: ([0, 0, 0, 0], 1935).into(), public: None };
        let (woken, wakes) = std::sync::mpsc::channel();
        let network = Arc::new(Network::new(vec![listener], None, move |_| {
            let _ = woken.send(());
        }));
        let watcher = NetworkWatcher::start(Arc::clone(&network)).unwrap();
        network.reconfigure(Some(PublicHost::parse("localhost").unwrap()));
        // The machine's own network may change as well.
        while *network.near_addresses() != [([127, 0, 0, 1], 1935).into()] {
            wakes.recv_timeout(Duration::from_secs(60)).expect("the name is found");
        }
        drop(watcher);
        assert_eq!(Arc::strong_count(&network), 1, "the thread has ended");
    }
}
