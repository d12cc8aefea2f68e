//! Writes the entries of this server, in batches.

use std::time::Duration;

use introd_plugin::PeerId;
use redis::{RedisError, RedisResult};

use super::outage::Outage;
use crate::connection::Connection;
use crate::keys::Keys;
use crate::published::{Write, WriteOutcome};
use crate::shared::{Severity, Shared};
use crate::stats::count;
use crate::trouble::{advice, describe, is_lost};

/// The entries in one batch, which is one round trip.
const BATCH: usize = 512;
/// How long to wait after a batch that Redis has refused.
pub(super) const REFUSED_WAIT: Duration = Duration::from_secs(1);
/// The entries in the next batch after that one.
const REFUSED_BATCH: usize = 8;

/// A batch that has been sent. Unless it is confirmed, it is written again.
struct UnconfirmedWrites<'a> {
    shared: &'a Shared,
    writes: Vec<(PeerId, Write)>,
}

impl Drop for UnconfirmedWrites<'_> {
    fn drop(&mut self) {
        self.shared.state().published.failed(std::mem::take(&mut self.writes));
    }
}

/// Writes what is due, until the connection breaks.
pub(super) async fn run(shared: &Shared, connection: &mut Connection) -> RedisError {
    let (mut outage, mut batch) = (Outage::default(), BATCH);
    loop {
        let writes = shared.state().published.take(batch);
        if writes.is_empty() {
            shared.writes.notified().await;
            continue;
        }
        match write(shared, connection, writes).await {
            Ok(Written { accepted, refusal }) => {
                if accepted > 0 && refusal.is_none() && outage.accepted() {
                    (shared.log)(Severity::Info, "Redis stores entries again");
                }
                if let Some(error) = &refusal
                    && outage.refused(error)
                {
                    let text = format!("Redis refuses to store entries: {}{}", describe(error), advice(error));
                    (shared.log)(Severity::Warning, &text);
                }
                // In a cluster, one node may refuse what it should store while the others accept theirs.
                batch = if accepted > 0 { BATCH } else { REFUSED_BATCH };
                if accepted == 0 {
                    tokio::time::sleep(REFUSED_WAIT).await;
                }
            }
            Err(error) => return error,
        }
    }
}

/// What has become of a batch.
struct Written {
    accepted: usize,
    /// Why Redis has refused some of it.
    refusal: Option<RedisError>,
}

/// Writes a batch. What Redis refuses is due again.
async fn write(shared: &Shared, connection: &mut Connection, writes: Vec<(PeerId, Write)>) -> RedisResult<Written> {
    let lifetime = shared.settings.entry_lifetime * 1000;
    let command =
        |(peer, write): &(PeerId, Write)| shared.keys.write(peer, write, &shared.server, shared.epoch, lifetime);
    let commands = writes.iter().map(command).collect();
    let mut unconfirmed = UnconfirmedWrites { shared, writes };
    count(&shared.stats.write_batches, 1);
    let answers = connection.run_each(commands).await?;
    if let Some(error) =
        answers.iter().filter_map(|answer| answer.as_ref().err()).find(|error| is_lost(error, shared.settings.mode))
    {
        return Err(error.clone());
    }
    let writes = std::mem::take(&mut unconfirmed.writes);
    let (mut published, mut withdrawn, mut refused) = (0, 0, 0);
    let (mut accepted, mut refusal) = (0, None);
    let mut state = shared.state();
    for ((peer, write), answer) in writes.into_iter().zip(answers) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                refused += 1;
                // Without an answer, Redis may have it or not.
                if crate::trouble::is_cut(&error) {
                    state.published.failed(vec![(peer, write)]);
                } else {
                    state.published.refused(peer, &write);
                }
                refusal = Some(error);
                continue;
            }
        };
        accepted += 1;
        let outcome = Keys::outcome(&answer);
        state.published.wrote(peer, &write, outcome);
        match write {
            Write::Withdraw => withdrawn += 1,
            Write::Publish { .. } => published += usize::from(outcome != WriteOutcome::Occupied),
        }
    }
    drop(state);
    count(&shared.stats.withdrawn, withdrawn);
    count(&shared.stats.published, published);
    count(&shared.stats.writes_refused, refused);
    Ok(Written { accepted, refusal })
}

/// Writes the withdrawals that are due, once, when this server ends.
pub(super) async fn withdraw_entries(shared: &Shared, connection: &mut Connection) -> RedisResult<()> {
    loop {
        let mut writes = shared.state().published.take(BATCH);
        if writes.is_empty() {
            return Ok(());
        }
        writes.retain(|(_, write)| *write == Write::Withdraw);
        let commands =
            writes.iter().map(|(peer, write)| shared.keys.write(peer, write, &shared.server, shared.epoch, 0));
        connection.run_each(commands.collect()).await?;
    }
}
