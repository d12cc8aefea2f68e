//! The registry's thread. It connects to Redis, and again whenever the connection breaks; while connected it sends heartbeats, writes
//! entries, and looks peers up.

mod answers;
mod groups;
mod heartbeat;
mod lookups;
mod outage;
mod pace;
mod replacement;
mod roll_call;
mod shards;
mod sweep;
mod writes;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use redis::{PushInfo, PushKind, RedisError, RedisResult, Value};
use tokio::sync::oneshot;

use self::heartbeat::Beat;
use self::outage::Vitality;
use crate::connection::{Connection, Connector};
use crate::shared::{Severity, Shared};
use crate::stats::{count, set};
use crate::trouble::{advice, describe, is_lost};

/// How long to wait before the second attempt to connect; each further wait is twice as long, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Why it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The server stops.
    Stopped,
    /// Another process goes on as this server.
    HandedOver,
}

/// Works until `stop`.
pub(crate) async fn run(shared: &Arc<Shared>, mut connector: Connector, mut stop: oneshot::Receiver<End>) {
    let mut wait = FIRST_WAIT;
    let mut log = LostLog::default();
    let mut vitality = Vitality::new(shared.settings.heartbeat_lifetime());
    let mut connection = None;
    let end = loop {
        let began = Instant::now();
        let error = tokio::select! {
            error = serve(shared, &mut connector, &mut connection, &mut vitality) => error,
            end = &mut stop => break end.unwrap_or(End::Stopped),
        };
        connection = None;
        count(&shared.stats.breaks, 1);
        shared.lost_connection(&describe(&error).into());
        let was_long = began.elapsed() > LONGEST_WAIT;
        if let Some(text) = log.line(&error, was_long) {
            (shared.log)(Severity::Warning, &text);
        }
        if was_long {
            wait = FIRST_WAIT;
        }
        tokio::select! {
            () = tokio::time::sleep(jittered(wait)) => wait = (wait * 2).min(LONGEST_WAIT),
            // A login that has changed is tried at once.
            () = shared.replace.notified() => wait = FIRST_WAIT,
            end = &mut stop => break end.unwrap_or(End::Stopped),
        }
    };
    shared.lost_connection(&"this server stops".into());
    let Some(mut connection) = connection else { return };
    let last = async {
        match end {
            // Without it, other servers would learn that this one is gone only when its key expires.
            End::Stopped => leave(shared, connection).await,
            End::HandedOver => {
                groups::withdraw_memberships(shared, &mut connection).await?;
                writes::withdraw_entries(shared, &mut connection).await
            }
        }
    };
    let _ = tokio::time::timeout(shared.settings.timeout(), last).await;
}

/// Logs an outage once, and again when its reason changes.
#[derive(Default)]
struct LostLog(String);

impl LostLog {
    /// The line for an error that ended a connection, or kept it from being opened. `was_long`: the connection had lasted.
    fn line(&mut self, error: &RedisError, was_long: bool) -> Option<String> {
        let why = describe(error);
        if self.0 == why && !was_long {
            return None;
        }
        let verb = if was_long || self.0.is_empty() { "is lost" } else { "is still lost" };
        let text = format!(
            "the connection to Redis {verb}: {why}{}; peers of this server still find each other",
            advice(error)
        );
        self.0 = why;
        Some(text)
    }
}

/// Deletes the key of this server, and as many of its entries as it can.
async fn leave(shared: &Shared, mut connection: Connection) -> RedisResult<()> {
    let mut commands = shared.keys.leave(&shared.server, shared.epoch);
    commands.push(shared.keys.strike(std::iter::once(shared.server.as_bytes())));
    connection.run_each(commands).await?;
    {
        let mut state = shared.state();
        state.memberships.leave_all();
        state.published.withdraw_all();
    }
    groups::withdraw_memberships(shared, &mut connection).await?;
    writes::withdraw_entries(shared, &mut connection).await
}

/// A wait that differs from server to server, so that those which lost the same Redis do not all come back at the same moment.
fn jittered(wait: Duration) -> Duration {
    let mut byte = [0];
    let _ = getrandom::fill(&mut byte);
    wait.mul_f64(0.75 + f64::from(byte[0]) / 512.0)
}

/// Connects, and works until the connection breaks. While connected, `current` is the connection. If another connection is to take
/// over, this one goes on until that is open.
async fn serve(
    shared: &Arc<Shared>,
    connector: &mut Connector,
    current: &mut Option<Connection>,
    vitality: &mut Vitality,
) -> RedisError {
    if let (Some(other), _) = shared.take_replacement() {
        *connector = other;
    }
    let (mut connection, beat) = match connect(shared, connector).await {
        Ok(opened) => opened,
        Err(error) => return error,
    };
    begin(shared, &beat);
    heartbeat::note(shared, vitality, &beat);
    loop {
        *current = Some(connection.clone());
        let (mut for_writes, mut for_heartbeats) = (connection.clone(), connection.clone());
        let (mut for_sweep, mut for_groups) = (connection.clone(), connection.clone());
        let mut for_roll = connection.clone();
        let (next, beat) = tokio::select! {
            error = heartbeat::run(shared, &mut for_heartbeats, vitality) => return error,
            error = writes::run(shared, &mut for_writes) => return error,
            error = groups::run(shared, &mut for_groups) => return error,
            error = sweep::run(shared, &mut for_sweep) => return error,
            error = roll_call::run(shared, &mut for_roll) => return error,
            error = lookups::run(shared, &mut connection) => return error,
            () = shared.disconnected.notified() => {
                return RedisError::from((redis::ErrorKind::Io, "the connection was closed"));
            }
            opened = replacement::open(shared, connector) => opened,
        };
        connection = next;
        count(&shared.stats.connections, 1);
        shared.changed_connection();
        heartbeat::note(shared, vitality, &beat);
        if let Beat::Accepted { was_gone: true } = beat {
            // It is another Redis, or one that has lost its data.
            count(&shared.stats.republished, 1);
            shared.renew_all();
        }
        (shared.log)(Severity::Info, "a new connection to Redis has replaced the earlier one");
    }
}

/// Opens a connection, and sends the first heartbeat, which comes before anything else, because the entries of this server are valid only
/// while its key exists.
async fn connect(shared: &Arc<Shared>, connector: &mut Connector) -> RedisResult<(Connection, Beat)> {
    let weak = Arc::downgrade(shared);
    let pushes = Arc::new(move |push: PushInfo| handle_push(&weak, &push));
    let connecting = connector.connect(&shared.settings, pushes);
    // The Redis client has no timeout for sentinels.
    let timeout = shared.settings.timeout() * 3;
    let timed_out = || RedisError::from((redis::ErrorKind::Io, "no connection in time"));
    let mut connection = tokio::time::timeout(timeout, connecting).await.map_err(|_| timed_out())??;
    if let Err(error) = connection.track().await {
        if is_lost(&error, shared.settings.mode) {
            return Err(error);
        }
        let text = format!(
            "Redis does not report changes ({}){}: cached peers stay cached for their whole time",
            describe(&error),
            advice(&error)
        );
        (shared.log)(Severity::Warning, &text);
    }
    let beat = heartbeat::send(shared, &mut connection).await?;
    Ok((connection, beat))
}

/// A connection has been opened after there was none.
fn begin(shared: &Shared, beat: &Beat) {
    let (is_first, entries) = {
        let mut state = shared.state();
        state.unreachable = None;
        (shared.stats.connections.load(Ordering::Relaxed) == 0, state.published.len())
    };
    // Redis may have lost entries, and other servers may have removed those of this one.
    shared.renew_all();
    count(&shared.stats.connections, 1);
    set(&shared.stats.connected, 1);
    if !is_first && entries > 0 {
        count(&shared.stats.republished, 1);
    }
    let only = if beat.is_accepted() { "" } else { ", but it refuses writes" };
    let text = format!("connected to Redis as server {}, which publishes {entries} peers{only}", shared.server);
    (shared.log)(Severity::Info, &text);
}

/// Handles a message that Redis sends unasked.
fn handle_push(shared: &Weak<Shared>, push: &PushInfo) -> Result<(), ()> {
    let shared = shared.upgrade().ok_or(())?;
    match (&push.kind, &push.data[..]) {
        (PushKind::Invalidate, [Value::Array(keys)]) => {
            for key in keys {
                match key {
                    Value::BulkString(key) => shared.key_changed(key),
                    Value::SimpleString(key) => shared.key_changed(key.as_bytes()),
                    _ => (),
                }
            }
        }
        (PushKind::Invalidate, _) => shared.all_keys_changed(),
        (PushKind::Disconnection, _) => shared.disconnected.notify_one(),
        _ => (),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_lost_the_same_redis_come_back_at_different_times() {
        let waits: Vec<Duration> = (0..1000).map(|_| jittered(LONGEST_WAIT)).collect();
        let (least, most) = (LONGEST_WAIT.mul_f64(0.75), LONGEST_WAIT.mul_f64(1.25));
        assert!(waits.iter().all(|wait| (least..=most).contains(wait)));
        assert!(waits.iter().max() > waits.iter().min());
    }
}
