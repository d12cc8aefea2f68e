//! Lookups in a cluster: each key is asked for by itself, so that a node that is gone fails the lookups of its own keys and no others.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_plugin::PeerId;
use redis::{Cmd, ErrorKind, RedisError, RedisResult};
use tokio::task::JoinSet;

use super::answers::{answer, parse_epoch, read, refuse, string};
use crate::connection::Connection;
use crate::entry::Epoch;
use crate::keys::Keys;
use crate::liveness::Servers;
use crate::remote::RemoteEntry;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::stats::count;

/// For how long the known state of another server counts while no node can tell its present one: for the lifetime of a heartbeat. A server
/// that dies in this time is noticed a lifetime later than otherwise.
fn max_age(settings: &Settings) -> Duration {
    settings.heartbeat_lifetime()
}

/// An answer to one of the requests of a batch.
enum Answer {
    /// The value of a peer.
    Peer(PeerId, RedisResult<Option<Vec<u8>>>),
    /// The epoch in which a server lives, `None` if it is dead; or nothing if no node can tell.
    Server(Arc<[u8]>, Option<Option<Epoch>>),
}

/// A batch of lookups.
struct Batch<'a> {
    shared: &'a Shared,
    connection: &'a Connection,
    running: JoinSet<Answer>,
    asked: Instant,
    /// What is known of the servers.
    known: Servers,
    /// The servers whose state was asked for.
    servers: HashSet<Arc<[u8]>>,
    /// Those of them for which there is an answer.
    told: HashSet<Arc<[u8]>>,
    /// The entries of peers that wait for the state of servers.
    waiting: HashMap<PeerId, Box<[RemoteEntry]>>,
}

/// Looks one batch up. Returns how long the first answer took.
pub(super) async fn look_up(shared: &Shared, connection: &Connection, peers: Vec<PeerId>) -> Duration {
    let asked = Instant::now();
    let (likely, known) = shared.state().servers.begin_batch(asked, shared.settings.liveness_cache());
    let mut batch = Batch {
        shared,
        known,
        connection,
        running: JoinSet::new(),
        asked,
        servers: HashSet::new(),
        told: HashSet::new(),
        waiting: HashMap::new(),
    };
    count(&shared.stats.lookup_batches, 1);
    likely.into_iter().for_each(|server| batch.ask_server(server));
    for peer in peers {
        let (mut connection, command) = (connection.clone(), Keys::get(shared.keys.peer(&peer)));
        batch.running.spawn(async move { Answer::Peer(peer, connection.run(&command).await.map(string)) });
    }
    let mut first = None;
    while let Some(ended) = batch.running.join_next().await {
        first.get_or_insert_with(|| asked.elapsed());
        if let Ok(answer) = ended {
            batch.take(answer);
        }
    }
    first.unwrap_or_default()
}

impl Batch<'_> {
    fn ask_server(&mut self, server: Arc<[u8]>) {
        if self.servers.insert(Arc::clone(&server)) {
            let commands = self.shared.keys.read_server(&server);
            self.running.spawn(state_of(server, self.connection.clone(), commands));
        }
    }

    fn take(&mut self, answer: Answer) {
        match answer {
            Answer::Peer(peer, Ok(value)) => {
                let entries = read(self.shared, value);
                self.shared.state().servers.named(self.asked, entries.iter());
                let unknown = self.unknown(&entries);
                if unknown.is_empty() {
                    self.finish(peer, entries);
                    return;
                }
                if unknown.iter().any(|server| !self.servers.contains(server)) {
                    count(&self.shared.stats.lookup_batches, 1);
                }
                unknown.into_iter().for_each(|server| self.ask_server(server));
                self.waiting.insert(peer, entries);
            }
            Answer::Peer(peer, Err(error)) => refuse(self.shared, &[peer], &error),
            Answer::Server(server, state) => {
                let max_age = max_age(&self.shared.settings);
                let mut shared = self.shared.state();
                if let Some(epoch) = state {
                    shared.servers.insert(self.asked, Arc::clone(&server), epoch, max_age);
                    self.known.insert(self.asked, Arc::clone(&server), epoch, max_age);
                } else if let Some((asked, epoch)) = shared.servers.state(&server)
                    && Instant::now() < asked + max_age
                {
                    // Its last known state counts for a while.
                    self.known.insert(asked, Arc::clone(&server), epoch, max_age);
                }
                drop(shared);
                self.told.insert(server);
                let waiting = std::mem::take(&mut self.waiting);
                for (peer, entries) in waiting {
                    if self.unknown(&entries).is_empty() {
                        self.finish(peer, entries);
                    } else {
                        self.waiting.insert(peer, entries);
                    }
                }
            }
        }
    }

    /// The servers of these entries whose state is neither known nor was told.
    fn unknown(&self, entries: &[RemoteEntry]) -> Vec<Arc<[u8]>> {
        let mut unknown = self.known.unknown(self.asked, entries.iter(), self.shared.settings.liveness_cache());
        unknown.retain(|server| !self.told.contains(server));
        unknown
    }

    /// Answers the lookups of a peer.
    fn finish(&self, peer: PeerId, entries: Box<[RemoteEntry]>) {
        let is_known = |entry: &RemoteEntry| self.known.state(&entry.server).is_some();
        if entries.iter().any(|entry| self.known.lives(entry)) || entries.iter().all(is_known) {
            answer(self.shared, &self.known, std::iter::once((peer, entries)));
        } else {
            let error = (ErrorKind::Io, "the node that knows whether the peer's server lives does not answer");
            refuse(self.shared, &[peer], &RedisError::from(error));
        }
    }
}

/// Asks for all copies of a server's key. The first that exists decides; the server is dead if none exists.
async fn state_of(server: Arc<[u8]>, connection: Connection, commands: Vec<Cmd>) -> Answer {
    let mut running = JoinSet::new();
    for command in commands {
        let mut connection = connection.clone();
        running.spawn(async move { connection.run(&command).await });
    }
    let mut state = None;
    while let Some(ended) = running.join_next().await {
        // A copy that cannot be read says nothing, and the others are enough.
        let Ok(Ok(value)) = ended else { continue };
        match string(value).and_then(|hex| parse_epoch(&hex)) {
            Some(epoch) => return Answer::Server(server, Some(Some(epoch))),
            None => state = Some(None),
        }
    }
    Answer::Server(server, state)
}
