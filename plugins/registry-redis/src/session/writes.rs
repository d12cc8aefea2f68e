//! Writes the entries of this server, in batches.

use std::time::Duration;

use introd_plugin::PeerId;
use redis::{RedisError, RedisResult};

use crate::connection::{Connection, is_fatal};
use crate::keys::Keys;
use crate::published::{Write, WriteOutcome};
use crate::shared::{Severity, Shared};
use crate::stats::count;

/// The entries in one batch, which is one round trip.
const BATCH: usize = 512;
/// How long to wait before a batch that Redis refused is written again.
const REFUSED_WAIT: Duration = Duration::from_secs(1);

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
    let lifetime = shared.settings.entry_lifetime * 1000;
    loop {
        let writes = shared.state().published.take(BATCH);
        if writes.is_empty() {
            shared.writes.notified().await;
            continue;
        }
        let commands =
            writes.iter().map(|(peer, write)| shared.keys.write(peer, write, &shared.server, shared.epoch, lifetime));
        let commands = commands.collect();
        let mut unconfirmed = UnconfirmedWrites { shared, writes };
        count(&shared.stats.write_batches, 1);
        match connection.run_all(commands).await {
            Ok(answers) => {
                let writes = std::mem::take(&mut unconfirmed.writes);
                let (mut published, mut withdrawn) = (0, 0);
                let mut state = shared.state();
                for ((peer, write), answer) in writes.iter().zip(&answers) {
                    let outcome = Keys::outcome(answer);
                    state.published.wrote(*peer, write, outcome);
                    match write {
                        Write::Withdraw => withdrawn += 1,
                        Write::Publish { .. } => published += usize::from(outcome != WriteOutcome::Occupied),
                    }
                }
                drop(state);
                count(&shared.stats.withdrawn, withdrawn);
                count(&shared.stats.published, published);
            }
            Err(error) if is_fatal(&error) => return error,
            Err(error) => {
                drop(unconfirmed);
                (shared.log)(Severity::Warning, &format!("Redis refuses to store entries: {error}"));
                tokio::time::sleep(REFUSED_WAIT).await;
            }
        }
    }
}

/// Writes what is due, once, when this server stops: only withdrawals are left then.
pub(super) async fn withdraw_entries(shared: &Shared, connection: &mut Connection) -> RedisResult<()> {
    loop {
        let writes = shared.state().published.take(BATCH);
        if writes.is_empty() {
            return Ok(());
        }
        let commands =
            writes.iter().map(|(peer, write)| shared.keys.write(peer, write, &shared.server, shared.epoch, 0));
        connection.run_all(commands.collect()).await?;
    }
}
