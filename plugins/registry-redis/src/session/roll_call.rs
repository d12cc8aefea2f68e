//! Calls the roll: which servers share the registry, for administrators. Nothing that serves clients depends on it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::{RedisError, RedisResult, Value};

use crate::connection::Connection;
use crate::keys::Keys;
use crate::roll::{self, MAX_LISTED};
use crate::shared::{Severity, Shared};
use crate::trouble::{advice, describe, is_lost};

/// The roll is called, and this server entered in it, each time that so many heartbeats have been sent.
const HEARTBEATS: u32 = 10;
/// The first time comes when all that is published has had time to be written.
const FIRST_AFTER: Duration = Duration::from_secs(1);

/// Calls the roll again and again, until the connection breaks.
pub(super) async fn run(shared: &Shared, connection: &mut Connection) -> RedisError {
    let mut has_failed = false;
    let mut wait = FIRST_AFTER;
    loop {
        tokio::time::sleep(wait).await;
        wait = shared.settings.heartbeat_interval() * HEARTBEATS;
        match call(shared, connection).await {
            Ok(()) => has_failed = false,
            Err(error) if is_lost(&error, shared.settings.mode) => return error,
            Err(error) => {
                shared.state().servers_listed = None;
                if !std::mem::replace(&mut has_failed, true) {
                    let text = format!(
                        "Redis does not tell which servers share the registry ({}){}: administrators do not see them",
                        describe(&error),
                        advice(&error)
                    );
                    (shared.log)(Severity::Warning, &text);
                }
            }
        }
    }
}

/// Enters this server, and reads which others there are.
async fn call(shared: &Shared, connection: &mut Connection) -> RedisResult<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let keys = &shared.keys;
    let mut answers =
        connection.run_each(vec![keys.enter(&shared.server, now), keys.list(MAX_LISTED)]).await?.into_iter();
    let (entered, listed) = (answers.next(), answers.next());
    entered.unwrap_or(Ok(Value::Nil))?;
    let listed = roll::read(&listed.unwrap_or(Ok(Value::Nil))?);
    if listed.is_empty() {
        return Ok(());
    }
    let are_alive = are_alive(shared, connection, &listed).await?;
    let (kept, gone) = roll::call(listed, &are_alive, now);
    shared.state().servers_listed = Some(kept);
    if !gone.is_empty() {
        let strike = keys.strike(gone.iter().map(Vec::as_slice));
        connection.run_each(vec![strike]).await?.into_iter().collect::<RedisResult<Vec<Value>>>()?;
    }
    Ok(())
}

/// Whether each of these servers is alive: whether one of its keys exists.
async fn are_alive(shared: &Shared, connection: &mut Connection, listed: &[(Vec<u8>, u64)]) -> RedisResult<Vec<bool>> {
    let copies: Vec<Vec<Vec<u8>>> = listed.iter().map(|(name, _)| shared.keys.server_copies(name)).collect();
    let commands = copies.iter().flatten().cloned().map(Keys::get).collect();
    let mut answers = connection.run_each(commands).await?.into_iter();
    let mut are_alive = Vec::with_capacity(copies.len());
    for copies in &copies {
        // All copies are read, also behind one that is there: the answers come in this order.
        let there =
            answers.by_ref().take(copies.len()).filter(|answer| matches!(answer, Ok(value) if *value != Value::Nil));
        are_alive.push(there.count() > 0);
    }
    Ok(are_alive)
}
