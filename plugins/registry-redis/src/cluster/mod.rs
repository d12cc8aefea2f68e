//! A connection to a cluster: one connection to each master, each by itself, so that a node that is gone or frozen delays and fails the
//! commands on its own keys and no others.

mod slots;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Value, cmd};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

pub(crate) use slots::Address;
use slots::{SlotMap, redirection, slot};

/// How often a command follows a redirection.
const MAX_REDIRECTIONS: usize = 3;
/// How long to wait before a node that did not answer is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long to wait between two questions who has which slots, while a node is gone or has sent a client elsewhere.
const REFRESH: Duration = Duration::from_secs(1);
/// The largest number of nodes.
const MAX_NODES: usize = 1024;

/// Makes a client for the node at an address.
pub(crate) type MakeClient = Box<dyn Fn(&Address) -> RedisResult<Client> + Send + Sync>;

/// A connection to a cluster. Clones share it.
#[derive(Clone)]
pub(crate) struct ClusterConnection(Arc<Shared>);

struct Shared {
    make_client: MakeClient,
    config: AsyncConnectionConfig,
    timeout: Duration,
    /// The nodes that the settings name.
    seeds: Vec<Address>,
    state: Mutex<State>,
    /// Wakes the task that asks who has which slots: a node is gone, or has sent a client elsewhere.
    refresh: Arc<Notify>,
    refresher: OnceLock<AbortHandle>,
}

#[derive(Default)]
struct State {
    slots: SlotMap,
    nodes: HashMap<Address, Node>,
}

enum Node {
    Connected(MultiplexedConnection),
    /// It does not answer, for this reason. Commands fail at once until it is tried again.
    Gone {
        since: Instant,
        why: RedisError,
    },
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(refresher) = self.refresher.get() {
            refresher.abort();
        }
    }
}

impl ClusterConnection {
    /// Connects to a cluster of which these are some nodes.
    ///
    /// # Errors
    /// That of the last node, if none of them says who has which slots.
    pub(crate) async fn open(
        seeds: Vec<Address>,
        make_client: MakeClient,
        config: AsyncConnectionConfig,
        timeout: Duration,
    ) -> RedisResult<Self> {
        let refresh = Arc::new(Notify::new());
        let shared = Arc::new(Shared {
            make_client,
            config,
            timeout,
            seeds,
            state: Mutex::default(),
            refresh: Arc::clone(&refresh),
            refresher: OnceLock::new(),
        });
        shared.find_slots().await?;
        let weak = Arc::downgrade(&shared);
        let refreshing = tokio::spawn(async move {
            loop {
                refresh.notified().await;
                let Some(shared) = weak.upgrade() else { return };
                let _ = shared.find_slots().await;
                drop(shared);
                tokio::time::sleep(REFRESH).await;
            }
        });
        let _ = shared.refresher.set(refreshing.abort_handle());
        Ok(Self(shared))
    }

    /// Runs one command, whose first key says to which node it goes.
    pub(crate) async fn run(&self, command: &Cmd) -> RedisResult<Value> {
        let slot = key(command).map(|key| slot(&key)).ok_or_else(|| error("a command without a key"))?;
        let mut address = self.0.master(slot)?;
        let mut asks = false;
        for _ in 0..=MAX_REDIRECTIONS {
            let answer = self.0.run_at(&address, command, asks).await;
            let Err(error) = answer else { return answer };
            let detail = error.detail().unwrap_or_default();
            let next = match error.code() {
                Some("MOVED") => {
                    self.0.refresh.notify_one();
                    redirection(detail, &address.0)
                }
                Some("ASK") => redirection(detail, &address.0),
                // The node is no master any more, or another one is gone.
                Some("READONLY" | "CLUSTERDOWN") => {
                    self.0.refresh.notify_one();
                    return Err(error);
                }
                _ => return Err(error),
            };
            asks = error.code() == Some("ASK");
            address = next.ok_or(error)?;
        }
        Err(error("too many redirections"))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn master(&self, slot: u16) -> RedisResult<Address> {
        self.state().slots.master(slot).cloned().ok_or_else(|| {
            self.refresh.notify_one();
            error("no node has the slot of the key")
        })
    }

    /// Runs a command at a node.
    async fn run_at(&self, address: &Address, command: &Cmd, asks: bool) -> RedisResult<Value> {
        let mut connection = self.node(address).await?;
        let answer = if asks {
            let mut pipeline = Pipeline::with_capacity(2);
            pipeline.add_command(cmd("ASKING")).add_command(command.clone());
            let mut answers = connection.req_packed_commands(&pipeline, 0, 2).await;
            answers
                .as_mut()
                .ok()
                .and_then(Vec::pop)
                .map_or_else(|| Err(answers.err().unwrap_or_else(|| error("no answer"))), Ok)
        } else {
            connection.req_packed_command(command).await
        };
        if let Err(why) = &answer
            && crate::trouble::is_cut(why)
        {
            self.lose(address, why.clone());
        }
        answer.and_then(Value::extract_error)
    }

    /// The connection to a node; it is opened if there is none.
    async fn node(&self, address: &Address) -> RedisResult<MultiplexedConnection> {
        {
            let mut state = self.state();
            let is_full = state.nodes.len() >= MAX_NODES;
            match state.nodes.get_mut(address) {
                Some(Node::Connected(connection)) => return Ok(connection.clone()),
                Some(Node::Gone { since, why }) if since.elapsed() < RETRY => return Err(why.clone()),
                // One caller tries again, and the others fail at once meanwhile.
                Some(Node::Gone { since, .. }) => *since = Instant::now(),
                None if is_full => return Err(error("too many nodes")),
                None => {}
            }
        }
        let connecting =
            async { (self.make_client)(address)?.get_multiplexed_async_connection_with_config(&self.config).await };
        let connected = tokio::time::timeout(self.timeout, connecting).await;
        match connected.unwrap_or_else(|_| Err(error("no connection in time"))) {
            Ok(connection) => {
                self.state().nodes.insert(address.clone(), Node::Connected(connection.clone()));
                Ok(connection)
            }
            Err(why) => {
                self.lose(address, why.clone());
                Err(why)
            }
        }
    }

    /// A node does not answer.
    fn lose(&self, address: &Address, why: RedisError) {
        self.state().nodes.insert(address.clone(), Node::Gone { since: Instant::now(), why });
        self.refresh.notify_one();
    }

    /// Asks the nodes who has which slots, until one answers.
    async fn find_slots(&self) -> RedisResult<()> {
        let known = self.state().slots.masters();
        let mut last = error("there is no node");
        for address in known.iter().chain(&self.seeds) {
            let mut command = cmd("CLUSTER");
            command.arg("SLOTS");
            match self.run_at(address, &command, false).await {
                Ok(answer) => {
                    if let Some(slots) = SlotMap::read(&answer, &address.0) {
                        let mut state = self.state();
                        let masters = slots.masters();
                        state.nodes.retain(|node, _| masters.contains(node));
                        state.slots = slots;
                        return Ok(());
                    }
                    last = error("a node has no slots: is it a cluster?");
                }
                Err(why) => last = why,
            }
        }
        Err(last)
    }
}

/// The key of a command: what follows the name, and for a script what follows the script and the number of keys.
fn key(command: &Cmd) -> Option<Vec<u8>> {
    let mut words = command.args_iter().filter_map(|argument| match argument {
        redis::Arg::Simple(word) => Some(word),
        _ => None,
    });
    let is_script = words.next()? == b"EVAL";
    words.nth(if is_script { 2 } else { 0 }).map(<[u8]>::to_vec)
}

fn error(why: &'static str) -> RedisError {
    RedisError::from((ErrorKind::Io, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_command_says_where_it_goes() {
        let mut get = cmd("GET");
        get.arg("a");
        let mut script = cmd("EVAL");
        script.arg("return 1").arg(1).arg("b").arg("c");
        assert_eq!((key(&get), key(&script), key(&cmd("PING"))), (Some(b"a".to_vec()), Some(b"b".to_vec()), None));
    }
}
