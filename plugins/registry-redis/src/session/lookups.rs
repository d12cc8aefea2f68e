//! Asks Redis about the peers of pending lookups, in batches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_plugin::PeerId;
use redis::{Cmd, RedisError, RedisResult, Value, cmd};
use tokio::task::JoinSet;

use super::answers::{answer, parse_epoch, read, refuse, string};
use super::pace::{Due, Pace};
use super::shards;
use crate::connection::Connection;
use crate::keys::Keys;
use crate::liveness::Servers;
use crate::remote::RemoteEntry;
use crate::settings::Mode;
use crate::shared::Shared;
use crate::stats::count;
use crate::trouble::is_lost;

/// The peers in one batch.
const BATCH: usize = 256;

/// What a batch has come to: how long Redis took to answer, or why the connection is useless.
type Ended = Result<Duration, RedisError>;

/// Looks peers up, until the connection breaks.
pub(super) async fn run(shared: &Arc<Shared>, connection: &mut Connection) -> RedisError {
    let mut batches: JoinSet<Ended> = JoinSet::new();
    let mut pace = Pace::default();
    loop {
        let mut wait = Due::Now;
        while !shared.state().pending.is_asked() {
            let now = Instant::now();
            wait = pace.due(now, batches.len());
            if wait != Due::Now {
                break;
            }
            let peers = {
                let mut state = shared.state();
                let peers = state.pending.next_batch(BATCH);
                peers.iter().for_each(|peer| state.cache.begin(*peer));
                peers
            };
            pace.began(now);
            let (shared, connection) = (Arc::clone(shared), connection.clone());
            batches.spawn(look_up(shared, connection, peers));
        }
        let until = if let Due::At(time) = wait { time } else { Instant::now() };
        tokio::select! {
            () = shared.lookups.notified(), if wait == Due::Now => (),
            () = tokio::time::sleep_until(until.into()), if matches!(wait, Due::At(_)) => (),
            Some(ended) = batches.join_next() => match ended {
                Ok(Ok(took)) => pace.answered(took),
                Ok(Err(error)) => return error,
                Err(_) => (),
            },
        }
    }
}

/// Looks one batch up.
async fn look_up(shared: Arc<Shared>, mut connection: Connection, peers: Vec<PeerId>) -> Ended {
    let began = Instant::now();
    if shared.settings.mode == Mode::Cluster {
        return Ok(shards::look_up(&shared, &connection, peers).await);
    }
    match ask(&shared, &mut connection, &peers).await {
        Ok((entries, servers)) => answer(&shared, &servers, peers.into_iter().zip(entries)),
        // `Shared::lost_connection` answers the pending lookups.
        Err(error) if is_lost(&error, shared.settings.mode) => return Err(error),
        Err(error) => refuse(&shared, &peers, &error),
    }
    Ok(began.elapsed())
}

/// Asks Redis for the entries about these peers, and which of the servers that they name live, as far as that is not cached. That is one
/// round trip, because the servers that were named lately are asked about at the same time, unless an entry names another one.
async fn ask(
    shared: &Shared,
    connection: &mut Connection,
    peers: &[PeerId],
) -> RedisResult<(Vec<Box<[RemoteEntry]>>, Servers)> {
    let max_age = shared.settings.liveness_cache();
    // The time at which Redis is asked counts, not that of its answer.
    let asked = Instant::now();
    let (likely, mut known) = shared.state().servers.begin_batch(asked, max_age);
    let keys = peers.iter().map(|peer| shared.keys.peer(peer));
    let keys = keys.chain(likely.iter().map(|server| shared.keys.server(server)));
    let mut values = get_all(shared, connection, keys, peers.len() + likely.len()).await?;
    learn(shared, &mut known, asked, likely, values.split_off(peers.len()));
    let entries: Vec<Box<[RemoteEntry]>> = values.into_iter().map(|bytes| read(shared, bytes)).collect();
    let all = || entries.iter().flat_map(|entries| entries.iter());
    shared.state().servers.named(asked, all());
    let servers = known.unknown(asked, all(), max_age);
    if !servers.is_empty() {
        let keys = servers.iter().map(|server| shared.keys.server(server));
        let epochs = get_all(shared, connection, keys, servers.len()).await?;
        learn(shared, &mut known, asked, servers, epochs);
    }
    Ok((entries, known))
}

/// Takes note of the keys of servers.
fn learn(shared: &Shared, known: &mut Servers, asked: Instant, servers: Vec<Arc<[u8]>>, epochs: Vec<Option<Vec<u8>>>) {
    let max_age = shared.settings.liveness_cache();
    let mut state = shared.state();
    for (server, epoch) in servers.into_iter().zip(epochs) {
        let epoch = epoch.and_then(|hex| parse_epoch(&hex));
        known.insert(asked, Arc::clone(&server), epoch, max_age);
        state.servers.insert(asked, server, epoch, max_age);
    }
}

/// The values of so many keys, in one round trip. Redis reports when they change.
async fn get_all(
    shared: &Shared,
    connection: &mut Connection,
    keys: impl Iterator<Item = Vec<u8>>,
    number: usize,
) -> RedisResult<Vec<Option<Vec<u8>>>> {
    count(&shared.stats.lookup_batches, 1);
    let mut commands: Vec<Cmd> = Vec::new();
    if connection.is_tracking() {
        let mut track = cmd("CLIENT");
        track.arg("CACHING").arg("YES");
        commands.push(track);
    }
    commands.push(Keys::get_all(keys));
    let values = connection.run_each(commands).await?.pop();
    let unanswered = || Err(RedisError::from((redis::ErrorKind::Io, "no answer")));
    strings(values.unwrap_or_else(unanswered)?, number)
}

/// The values of so many keys; `None` for a key that does not exist.
fn strings(answer: Value, count: usize) -> RedisResult<Vec<Option<Vec<u8>>>> {
    match answer {
        Value::Array(values) if values.len() == count => Ok(values.into_iter().map(string).collect()),
        _ => Err(RedisError::from((redis::ErrorKind::UnexpectedReturnType, "not the answer to MGET"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_value_for_each_key() {
        let text = |text: &str| Value::BulkString(text.into());
        let values = |values: Vec<Value>, count| strings(Value::Array(values), count).ok();
        assert_eq!(values(vec![text("a"), Value::Nil], 2), Some(vec![Some(b"a".to_vec()), None]));
        assert_eq!(
            values(vec![Value::SimpleString("a".into()), Value::Int(1)], 2),
            Some(vec![Some(b"a".to_vec()), None])
        );
        assert_eq!((values(vec![text("a")], 2), values(vec![text("a"); 3], 2)), (None, None));
        assert!(strings(Value::Nil, 0).is_err());
    }
}
