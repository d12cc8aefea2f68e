//! Heartbeats: they keep the key of this server alive, and with it its entries.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redis::{RedisError, RedisResult, Value};

use crate::connection::Connection;
use crate::shared::{Severity, Shared};
use crate::stats::count;

/// Sends a heartbeat, and returns the value that the key of this server had before.
pub(super) async fn send(shared: &Shared, connection: &mut Connection) -> RedisResult<Option<Vec<u8>>> {
    let lifetime = shared.settings.heartbeat_lifetime().as_millis() as u64;
    let before = connection.run(&shared.keys.heartbeat(&shared.server, shared.epoch, lifetime)).await?;
    count(&shared.stats.heartbeats, 1);
    let before = match before {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    };
    // At the first heartbeat, the value may be that of an earlier run of this server.
    if let Some(other) = before.as_deref().filter(|before| *before != shared.epoch.hex().as_bytes())
        && shared.stats.heartbeats.load(Ordering::Relaxed) > 1
    {
        let text = format!(
            "another server has the name {} too (epoch {}): give each server its own <server> name; until then, others do not \
             find their peers",
            shared.server,
            String::from_utf8_lossy(other)
        );
        (shared.log)(Severity::Error, &text);
    }
    Ok(before)
}

/// Sends heartbeats, and has all entries written again before they expire, until the connection breaks.
pub(super) async fn run(shared: &Shared, connection: &mut Connection) -> RedisError {
    let mut ticks = tokio::time::interval(shared.settings.heartbeat_interval());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let renew_after = Duration::from_secs(shared.settings.entry_lifetime) / 2;
    let mut renewed = Instant::now();
    // The first tick comes at once, and the connection has begun with a heartbeat.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        shared.update_gauges();
        let is_lost = match send(shared, connection).await {
            Ok(before) => before.is_none(),
            Err(error) => return error,
        };
        if is_lost {
            (shared.log)(Severity::Warning, "Redis has lost the key of this server: all entries are written again");
            count(&shared.stats.republished, 1);
        }
        if is_lost || renewed.elapsed() >= renew_after {
            renewed = Instant::now();
            shared.state().published.renew_all();
            shared.writes.notify_one();
        }
    }
}
