//! Verifies, slowly, that Redis still has the entries of this server: it may have evicted some, or someone may have deleted them.

use std::time::Duration;

use introd_plugin::PeerId;
use redis::{RedisError, RedisResult, Value};

use super::groups;
use crate::connection::Connection;
use crate::entry::Entry;
use crate::keys::Keys;
use crate::settings::Mode;
use crate::shared::Shared;
use crate::stats::count;
use crate::trouble::is_lost;

/// The time between two steps.
const STEP: Duration = Duration::from_secs(1);
/// The entries in one command.
const BATCH: usize = 256;

/// Verifies all entries once in each `sweep`, until the connection breaks.
pub(super) async fn run(shared: &Shared, connection: &mut Connection) -> RedisError {
    let mut ticks = tokio::time::interval(STEP);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut left = step(shared.state().published.len(), shared.settings.sweep);
        while left > 0 {
            let peers = shared.state().published.next_to_verify(left.min(BATCH));
            left = left.saturating_sub(BATCH);
            if let Err(error) = verify(shared, connection, &peers).await {
                return error;
            }
        }
        let mut left = step(shared.state().memberships.len(), shared.settings.sweep);
        while left > 0 {
            if let Err(error) = groups::verify(shared, connection, left.min(BATCH)).await {
                return error;
            }
            left = left.saturating_sub(BATCH);
        }
    }
}

/// How many of `entries` to verify in one step, so that all are verified in `sweep` seconds.
fn step(entries: usize, sweep: u64) -> usize {
    entries.div_ceil(usize::try_from(sweep).unwrap_or(usize::MAX).max(1))
}

/// Verifies some entries; those that are gone are written again.
async fn verify(shared: &Shared, connection: &mut Connection, peers: &[PeerId]) -> RedisResult<()> {
    if peers.is_empty() {
        return Ok(());
    }
    let keys = peers.iter().map(|peer| shared.keys.peer(peer));
    let answers = if shared.settings.mode == Mode::Cluster {
        connection.run_each(keys.map(Keys::get).collect()).await?
    } else {
        match connection.run(&Keys::get_all(keys)).await {
            Ok(Value::Array(values)) => values.into_iter().map(Ok).collect(),
            Ok(_) => return Ok(()),
            Err(error) => vec![Err(error)],
        }
    };
    let mut lost = 0;
    for (peer, answer) in peers.iter().zip(answers) {
        let is_there = match answer {
            Ok(Value::BulkString(bytes)) => Entry::decode_all(&bytes).iter().any(|entry| entry.epoch == shared.epoch),
            Ok(_) => false,
            Err(error) if is_lost(&error, shared.settings.mode) => return Err(error),
            // Nothing is known of it. The next sweep verifies it again.
            Err(_) => continue,
        };
        lost += usize::from(!is_there && shared.state().published.lost(*peer));
    }
    if lost > 0 {
        count(&shared.stats.entries_lost, lost);
        shared.writes.notify_one();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_covers_all_entries_in_its_time() {
        assert_eq!(
            [(0, 300), (1, 300), (300, 300), (301, 300), (2_000_000, 300), (7, 1)]
                .map(|(entries, sweep)| { step(entries, sweep) }),
            [0, 1, 1, 2, 6667, 7]
        );
    }
}
