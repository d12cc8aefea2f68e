//! Asks Redis about the peers of pending lookups, in batches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_plugin::PeerId;
use redis::{Cmd, RedisError, RedisResult, Value, cmd};
use tokio::task::JoinSet;

use super::pace::{Due, Pace};
use super::shards;
use crate::answer::Failure;
use crate::connection::Connection;
use crate::entry::Epoch;
use crate::keys::Keys;
use crate::liveness::Servers;
use crate::remote::{RemoteEntry, remote_entries};
use crate::settings::Mode;
use crate::shared::Shared;
use crate::stats::count;
use crate::trouble::{describe, is_lost};

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

/// The entries in the value of a peer.
pub(super) fn read(shared: &Shared, value: Option<Vec<u8>>) -> Box<[RemoteEntry]> {
    value.map_or_else(Box::default, |bytes| remote_entries(&bytes, shared.epoch))
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

/// Answers lookups of which everything is known, and caches the results. `servers` has the states of all servers that the entries name;
/// a server whose state is not there counts as dead.
pub(super) fn answer(shared: &Shared, servers: &Servers, found: impl Iterator<Item = (PeerId, Box<[RemoteEntry]>)>) {
    let settings = &shared.settings;
    let (found_time, unknown_time) =
        (Duration::from_millis(settings.positive_cache), Duration::from_millis(settings.negative_cache));
    let now = Instant::now();
    let mut answers = Vec::new();
    {
        let mut state = shared.state();
        for (peer, entries) in found {
            let is_valid = |entry: &RemoteEntry| servers.lives(entry);
            let valid: Box<[RemoteEntry]> = entries.iter().filter(|entry| is_valid(entry)).cloned().collect();
            count(&shared.stats.orphans, usize::from(valid.is_empty() && !entries.is_empty()));
            let addresses = state.answer(&peer, valid.first());
            let time = if valid.is_empty() { unknown_time } else { found_time };
            state.cache.end(now, peer, valid, time, settings.cache_entries);
            answers.push((addresses, state.pending.take(&peer)));
        }
    }
    for (addresses, replies) in answers {
        count(&shared.stats.found, if addresses.is_some() { replies.len() } else { 0 });
        replies.into_iter().for_each(|reply| reply(Ok(addresses.clone())));
    }
}

/// Answers lookups that Redis has refused.
pub(super) fn refuse(shared: &Shared, peers: &[PeerId], error: &RedisError) {
    let why: Arc<str> = describe(error).into();
    let mut replies = Vec::new();
    {
        let mut state = shared.state();
        for peer in peers {
            state.cache.abandon(peer);
            // A server finds its own peers whatever Redis does.
            let own = state.answer(peer, None);
            replies.extend(state.pending.take(peer).into_iter().map(|reply| (reply, own.clone())));
        }
    }
    for (reply, own) in replies {
        if own.is_some() {
            reply(Ok(own));
        } else {
            count(&shared.stats.failed, 1);
            reply(Err(Failure::Refused(Arc::clone(&why))));
        }
    }
}

/// The values of so many keys; `None` for a key that does not exist.
fn strings(answer: Value, count: usize) -> RedisResult<Vec<Option<Vec<u8>>>> {
    match answer {
        Value::Array(values) if values.len() == count => Ok(values.into_iter().map(string).collect()),
        _ => Err(RedisError::from((redis::ErrorKind::UnexpectedReturnType, "not the answer to MGET"))),
    }
}

/// The value of a key; `None` if it does not exist.
pub(super) fn string(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    }
}

pub(super) fn parse_epoch(hex: &[u8]) -> Option<Epoch> {
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
