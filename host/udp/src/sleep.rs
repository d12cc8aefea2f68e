//! Waiting beside sockets.

use std::time::Instant;

/// The most batches that are received after a standstill before timers run: a peer may send faster than they are read.
pub const MAX_CATCH_UP: usize = 4096;

/// Waits until `deadline`; for ever when there is none.
pub async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
