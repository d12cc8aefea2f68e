//! What comes of the answers of Redis to lookups.

use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_plugin::PeerId;
use redis::{RedisError, Value};

use crate::answer::Failure;
use crate::entry::Epoch;
use crate::liveness::Servers;
use crate::remote::{RemoteEntry, remote_entries};
use crate::shared::Shared;
use crate::stats::count;
use crate::trouble::describe;

/// The entries in the value of a peer.
pub(super) fn read(shared: &Shared, value: Option<Vec<u8>>) -> Box<[RemoteEntry]> {
    value.map_or_else(Box::default, |bytes| remote_entries(&bytes, shared.epoch))
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
    fn an_epoch_has_sixteen_digits() {
        assert_eq!(parse_epoch(b"0102030405060708"), Some(Epoch([1, 2, 3, 4, 5, 6, 7, 8])));
        for other in
            ["", "102030405060708", "00102030405060708", "010203040506070x", "+102030405060708", "\u{e4}12345678901234"]
        {
            assert_eq!(parse_epoch(other.as_bytes()), None, "{other}");
        }
    }
}
