//! A server that goes on with the sessions of another process, and one that leaves them to another.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use introd_policy::registry::RegistryState;
use tokio::sync::oneshot;

use super::Server;
use super::settings::ServerSettings;
use crate::introducer::Dispute;
use crate::serve::{ConnectingRecord, HandedOver, Inherited};
use crate::takeover::{Estate, Offer, RelayState, ServerState};

/// How long a worker may take to go on with its sessions.
const IMPORT: Duration = Duration::from_secs(30);
/// How long the other process may take to leave the addresses of the administration, once it knows that this one serves.
const ADMINISTRATION: Duration = Duration::from_secs(5);

/// A server that has started and does not serve yet: it waits for the sessions of another process.
pub struct Heir {
    // These are dropped first: workers that wait for them end then.
    pub(super) workers: Vec<WorkerHeir>,
    pub(super) done: Inheritances,
    server: Server,
    /// The ids that several sessions show.
    disputes: Arc<[Dispute]>,
}

/// How many sessions each worker goes on with, or why it cannot.
pub(super) type Inheritances = mpsc::Receiver<Result<usize, String>>;

/// What a worker waits for.
pub(super) struct WorkerHeir {
    pub(super) state: mpsc::SyncSender<Inherited>,
    pub(super) go: oneshot::Sender<Arc<[Dispute]>>,
}

impl Server {
    /// Starts a server in the place of another process, with the sockets that it shares.
    ///
    /// # Errors
    /// As [`Self::start`], and if the settings do not fit the sockets.
    pub fn take_over(settings: &ServerSettings, offer: Offer) -> anyhow::Result<Heir> {
        let (server, workers, done) = Self::begin(settings, Some(offer))?;
        Ok(Heir { workers, done, server, disputes: Arc::default() })
    }

    /// What the server leaves to another process, once, if its settings say that it may be taken over.
    pub fn estate(&mut self) -> Option<Estate> {
        self.estate.take()
    }

    /// Ends after another process has taken over: no client is closed, the registry keeps what is published, and the plugins end with the process.
    pub fn leave(mut self) {
        // The other process waits for its addresses.
        self.administration = None;
        self.caretaker = None;
        self.network_watcher = None;
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        if let Some(groups) = &self.services.shared_groups {
            groups.finish();
        }
        if let Some(announcer) = &self.services.announcer {
            // What scripts withdraw when they stop is published by the other process.
            announcer.registry().handed_over();
        }
        self.scripts.stop_after_takeover();
        self.net_connections.stop();
        self.http.stop();
        // What is dropped would say goodbye.
        std::mem::forget(self);
    }
}

impl Heir {
    /// Prepares sessions of the other process, which goes on serving them.
    ///
    /// # Errors
    /// If a worker has ended.
    pub fn prepare(&mut self, part: ServerState) -> anyhow::Result<()> {
        part.workers.into_iter().try_for_each(|part| self.give(part, Inherited::InAdvance))
    }

    fn give(&self, part: HandedOver, how: impl FnOnce(HandedOver) -> Inherited) -> anyhow::Result<()> {
        let index = part.index;
        let worker =
            self.workers.get(usize::from(index)).context("the state is that of more workers than there are")?;
        worker.state.send(how(part)).map_err(|_| anyhow::anyhow!("worker {index} has ended"))
    }

    /// Goes on with the sessions of the other process, and gives their number. The server does not serve yet.
    ///
    /// # Errors
    /// If the state does not fit the server.
    pub fn inherit(&mut self, state: ServerState) -> anyhow::Result<usize> {
        let found = state.workers.len();
        ensure!(
            found == self.workers.len(),
            "the state is that of {found} workers, and there are {}",
            self.workers.len()
        );
        let near_addresses = self.server.services.network.standing().near_addresses.clone();
        let connecting = state.workers.iter().flat_map(|worker| &worker.connecting).map(ConnectingRecord::session);
        self.server.services.applications.take_over(state.instances, &connecting.collect(), &near_addresses);
        match (&self.server.services.relay, state.relay) {
            (Some(relay), Some(RelayState { then, pairs })) => {
                let found = pairs.len();
                let pairs = relay.take_over(then, pairs);
                tracing::info!(pairs, found, "the pairs of the relay are taken over");
            }
            (None, Some(RelayState { pairs, .. })) => {
                tracing::warn!(
                    pairs = pairs.len(),
                    "the pairs of the relay end: this process has no relay by its configuration"
                );
            }
            (_, None) => (),
        }
        let mut workers = state.workers;
        workers.sort_by_key(|worker| worker.index);
        workers.dedup_by_key(|worker| worker.index);
        ensure!(workers.len() == found, "the state has two workers of one number");
        for record in state.open_calls {
            if let Some(worker) = workers.get_mut(usize::from(record.worker)) {
                worker.open_calls.push((record.session, record.open()));
            }
        }
        for worker in workers {
            self.give(worker, Inherited::All)?;
        }
        let mut sessions = 0;
        for _ in 0..found {
            let done = self.done.recv_timeout(IMPORT).context("a worker does not go on with its sessions")?;
            sessions += done.map_err(|why| anyhow::anyhow!("a worker cannot go on with its sessions: {why}"))?;
        }
        // All sessions are there now.
        self.disputes = self.server.services.directory.take_over_rivals(state.rivals).into();
        Ok(sessions)
    }

    /// Begins to serve. `registry`: what the registry of the other process hands over at last.
    pub fn serve(&mut self, registry: Option<RegistryState>) {
        if let Some(announcer) = &self.server.services.announcer {
            announcer.registry().took_over(registry.as_ref());
        }
        if let Some(relay) = &self.server.services.relay {
            relay.serve();
        }
        for worker in self.workers.drain(..) {
            let _ = worker.go.send(Arc::clone(&self.disputes));
        }
        self.server.services.applications.open_at_start();
    }

    /// The server, once it serves.
    ///
    /// # Errors
    /// If the administration cannot be started.
    pub fn into_server(self) -> anyhow::Result<Server> {
        let mut server = self.server;
        server.open_administration(ADMINISTRATION)?;
        Ok(server)
    }
}
