//! Asks Redis about the peers of pending lookups, in batches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_plugin::PeerId;
use redis::{RedisError, RedisResult, Value};
use tokio::task::JoinSet;

use crate::answer::Failure;
use crate::connection::{Connection, is_fatal};
use crate::entry::Epoch;
use crate::keys::Keys;
use crate::remote::{RemoteEntry, remote_entries};
use crate::shared::Shared;
use crate::stats::count;

/// The peers in one batch.
const BATCH: usize = 256;
/// The batches in flight at a time. Further lookups wait in the queue, where they become larger batches.
const MAX_BATCHES: usize = 8;

/// Looks peers up, until the connection breaks.
pub(super) async fn run(shared: &Arc<Shared>, connection: &mut Connection) -> RedisError {
    let mut batches: JoinSet<Option<RedisError>> = JoinSet::new();
    loop {
        while batches.len() < MAX_BATCHES {
            let peers = {
                let mut state = shared.state();
                let peers = state.pending.next_batch(BATCH);
                peers.iter().for_each(|peer| state.cache.begin(*peer));
                peers
            };
            if peers.is_empty() {
                break;
            }
            let (shared, connection) = (Arc::clone(shared), connection.clone());
            batches.spawn(look_up(shared, connection, peers));
        }
        tokio::select! {
            () = shared.lookups.notified(), if batches.len() < MAX_BATCHES => (),
            Some(ended) = batches.join_next() => {
                if let Ok(Some(error)) = ended {
                    return error;
                }
            }
        }
    }
}

/// Looks one batch up. Returns the error if the connection is broken.
async fn look_up(shared: Arc<Shared>, mut connection: Connection, peers: Vec<PeerId>) -> Option<RedisError> {
    match ask(&shared, &mut connection, &peers).await {
        Ok(entries) => {
            answer(&shared, &peers, entries);
            None
        }
        // `Shared::lost_connection` answers the pending lookups.
        Err(error) if is_fatal(&error) => Some(error),
        Err(error) => {
            refuse(&shared, &peers, &error);
            None
        }
    }
}

/// Asks Redis for the entries about these peers, and which of the servers that they name live, as far as that is not cached.
async fn ask(shared: &Shared, connection: &mut Connection, peers: &[PeerId]) -> RedisResult<Vec<Box<[RemoteEntry]>>> {
    count(&shared.stats.lookup_batches, 1);
    let values = connection.run(&Keys::get_all(peers.iter().map(|peer| shared.keys.peer(peer)))).await?;
    let entries: Vec<Box<[RemoteEntry]>> = strings(values, peers.len())?
        .into_iter()
        .map(|bytes| bytes.map_or_else(Box::default, |bytes| remote_entries(&bytes, shared.epoch)))
        .collect();
    let max_age = shared.settings.liveness_cache();
    // The time at which Redis is asked counts, not that of its answer.
    let asked = Instant::now();
    let servers = shared.state().servers.unknown(asked, entries.iter().flat_map(|entries| entries.iter()), max_age);
    if !servers.is_empty() {
        count(&shared.stats.lookup_batches, 1);
        let values = connection.run(&Keys::get_all(servers.iter().map(|server| shared.keys.server(server)))).await?;
        let epochs = strings(values, servers.len())?;
        let mut state = shared.state();
        for (server, epoch) in servers.into_iter().zip(epochs) {
            state.servers.insert(asked, server, epoch.and_then(|hex| parse_epoch(&hex)), max_age);
        }
    }
    Ok(entries)
}

/// Answers the lookups of a batch, and caches the results.
fn answer(shared: &Shared, peers: &[PeerId], entries: Vec<Box<[RemoteEntry]>>) {
    let settings = &shared.settings;
    let (found_time, unknown_time) =
        (Duration::from_millis(settings.positive_cache), Duration::from_millis(settings.negative_cache));
    let now = Instant::now();
    let mut answers = Vec::new();
    {
        let mut state = shared.state();
        for (peer, entries) in peers.iter().zip(entries) {
            // `ask` has the state of all these servers; it must not expire before it is used here.
            let is_valid =
                |entry: &RemoteEntry| state.servers.is_valid(now, entry, settings.liveness_cache() * 2) == Some(true);
            let valid: Box<[RemoteEntry]> = entries.iter().filter(|entry| is_valid(entry)).cloned().collect();
            count(&shared.stats.orphans, usize::from(valid.is_empty() && !entries.is_empty()));
            let addresses = state.answer(peer, valid.first());
            let time = if valid.is_empty() { unknown_time } else { found_time };
            state.cache.end(now, *peer, valid, time, settings.cache_entries);
            answers.push((addresses, state.pending.take(peer)));
        }
    }
    for (addresses, replies) in answers {
        count(&shared.stats.found, if addresses.is_some() { replies.len() } else { 0 });
        replies.into_iter().for_each(|reply| reply(Ok(addresses.clone())));
    }
}

/// Answers the lookups of a batch that Redis has refused.
fn refuse(shared: &Shared, peers: &[PeerId], error: &RedisError) {
    let why: Arc<str> = error.to_string().into();
    let mut replies = Vec::new();
    {
        let mut state = shared.state();
        for peer in peers {
            state.cache.abandon(peer);
            replies.append(&mut state.pending.take(peer));
        }
    }
    for reply in replies {
        count(&shared.stats.failed, 1);
        reply(Err(Failure::Refused(Arc::clone(&why))));
    }
}

/// The values of so many keys; `None` for a key that does not exist.
fn strings(answer: Value, count: usize) -> RedisResult<Vec<Option<Vec<u8>>>> {
    let string = |value| match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    };
    match answer {
        Value::Array(values) if values.len() == count => Ok(values.into_iter().map(string).collect()),
        _ => Err(RedisError::from((redis::ErrorKind::UnexpectedReturnType, "not the answer to MGET"))),
    }
}

fn parse_epoch(hex: &[u8]) -> Option<Epoch> {
    let is_hex = hex.len() == 16 && hex.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(hex).ok().filter(|_| is_hex)?;
    u64::from_str_radix(text, 16).ok().map(|number| Epoch(number.to_be_bytes()))
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

    #[test]
    fn an_epoch_has_sixteen_digits() {
        assert_eq!(parse_epoch(b"0102030405060708"), Some(Epoch([1, 2, 3, 4, 5, 6, 7, 8])));
        for other in
            ["", "102030405060708", "00102030405060708", "010203040506070x", "+102030405060708", "\u{e4}12345678901234"]
        {
            assert_eq!(parse_epoch(other.as_bytes()), None, "{other}");
        }
    }
}
