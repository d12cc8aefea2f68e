//! Replaces a connection that works: because the login or the address of Redis has changed, or because Redis is no master any more.

use std::sync::Arc;

use redis::RedisError;

use super::heartbeat::Beat;
use super::{FIRST_WAIT, LONGEST_WAIT, connect, jittered};
use crate::connection::{Connection, Connector};
use crate::shared::{Severity, Shared};
use crate::trouble::{advice, describe};

/// Waits until the connection is to be replaced, and opens another one. It tries again until that works.
pub(super) async fn open(shared: &Arc<Shared>, connector: &mut Connector) -> (Connection, Beat) {
    // Whether there is another login or address, and not just another connection wanted.
    let mut is_other = false;
    let mut logged = String::new();
    let mut wait = FIRST_WAIT;
    let mut is_seeking = false;
    loop {
        let (other, seeks) = shared.take_replacement();
        is_seeking |= seeks;
        if let Some(other) = other {
            *connector = other;
            is_other = true;
            wait = FIRST_WAIT;
        }
        if !is_other && !is_seeking {
            shared.replace.notified().await;
            continue;
        }
        match connect(shared, connector).await {
            // Another replica is no better than this one.
            Ok((connection, beat)) if is_other || beat.is_accepted() => return (connection, beat),
            Ok(_) => (),
            Err(error) => say(shared, &mut logged, &error),
        }
        tokio::select! {
            () = tokio::time::sleep(jittered(wait)) => wait = (wait * 2).min(LONGEST_WAIT),
            () = shared.replace.notified() => (),
        }
    }
}

/// Logs why there is no new connection, once for each reason.
fn say(shared: &Shared, logged: &mut String, error: &RedisError) {
    let why = describe(error);
    if *logged != why {
        let text = format!(
            "a new connection to Redis is refused: {why}{}; the earlier connection goes on for as long as Redis lets it",
            advice(error)
        );
        (shared.log)(Severity::Error, &text);
        *logged = why;
    }
}
