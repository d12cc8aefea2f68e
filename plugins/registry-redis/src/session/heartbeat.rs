//! Heartbeats: they keep the key of this server alive, and with it its entries.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redis::{RedisError, RedisResult, Value};

use super::outage::Vitality;
use crate::connection::Connection;
use crate::shared::{Severity, Shared};
use crate::stats::{count, set};
use crate::trouble::{code, is_cut, is_lost};

/// What Redis has made of a heartbeat.
pub(super) enum Beat {
    /// It has accepted it. The entries must be written again if the key of this server, or a copy of it, was gone.
    Accepted { was_gone: bool },
    /// It has refused it: it may answer lookups all the same.
    Refused(RedisError),
}

impl Beat {
    /// Whether Redis has accepted it.
    pub(super) fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted { .. })
    }
}

/// Sends a heartbeat.
///
/// # Errors
/// If the connection is broken.
pub(super) async fn send(shared: &Shared, connection: &mut Connection) -> RedisResult<Beat> {
    let lifetime = shared.settings.heartbeat_lifetime().as_millis() as u64;
    let answers = connection.run_each(shared.keys.heartbeat(&shared.server, shared.epoch, lifetime)).await?;
    count(&shared.stats.heartbeats, 1);
    let (mut before, mut errors) = (Vec::new(), Vec::new());
    for answer in answers {
        match answer {
            Ok(Value::BulkString(bytes)) => before.push(Some(bytes)),
            Ok(Value::SimpleString(text)) => before.push(Some(text.into_bytes())),
            Ok(_) => before.push(None),
            Err(error) if is_lost(&error, shared.settings.mode) => return Err(error),
            Err(error) => errors.push(error),
        }
    }
    if before.is_empty() {
        count(&shared.stats.writes_refused, 1);
        // Not one node of a cluster answers.
        let is_gone = errors.iter().all(is_cut);
        let first = errors.into_iter().next();
        let error = first.unwrap_or_else(|| RedisError::from((redis::ErrorKind::Io, "no answer")));
        return if is_gone { Err(error) } else { Ok(Beat::Refused(error)) };
    }
    // At the first heartbeat, the value may be that of an earlier run of this server.
    let own = shared.epoch.hex();
    if let Some(other) = before.iter().flatten().find(|before| **before != own.as_bytes())
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
    Ok(Beat::Accepted { was_gone: before.contains(&None) })
}

/// Takes note of what Redis has made of a heartbeat.
pub(super) fn note(shared: &Shared, vitality: &mut Vitality, beat: &Beat) {
    let now = Instant::now();
    let lines = match beat {
        Beat::Accepted { .. } => {
            shared.heartbeat_accepted();
            vitality.accepted(now).into_iter().collect()
        }
        Beat::Refused(error) => vitality.refused(now, error),
    };
    for (severity, text) in lines {
        (shared.log)(severity, &text);
    }
    set(&shared.stats.alive, usize::from(vitality.is_alive(now)));
}

/// Sends heartbeats, and has all entries written again before they expire, until the connection breaks.
pub(super) async fn run(shared: &Shared, connection: &mut Connection, vitality: &mut Vitality) -> RedisError {
    let mut ticks = tokio::time::interval(shared.settings.heartbeat_interval());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let renew_after = Duration::from_secs(shared.settings.entry_lifetime) / 2;
    let mut renewed = Instant::now();
    // The first tick comes at once, and the connection has begun with a heartbeat.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        shared.update_gauges();
        let beat = match send(shared, connection).await {
            Ok(beat) => beat,
            Err(error) => return error,
        };
        note(shared, vitality, &beat);
        let is_lost = match beat {
            Beat::Accepted { was_gone } => was_gone,
            Beat::Refused(error) => {
                // A master whose name leads to another machine now has become a replica.
                if code(&error) == "READONLY" {
                    shared.seek_master();
                }
                continue;
            }
        };
        if is_lost {
            (shared.log)(Severity::Warning, "Redis has lost the key of this server: all entries are written again");
            count(&shared.stats.republished, 1);
        }
        if is_lost || renewed.elapsed() >= renew_after {
            renewed = Instant::now();
            shared.renew_all();
        }
    }
}
