//! Waiting until a deadline.

use std::time::Instant;

/// Waits until `deadline`; for ever if there is none.
pub async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn only_a_deadline_that_has_passed_ends_the_wait() {
        let is_over = |deadline| {
            let mut context = Context::from_waker(Waker::noop());
            pin!(sleep_until(deadline)).poll(&mut context).is_ready()
        };
        let now = Instant::now();
        sleep_until(Some(now)).await;
        assert!(!is_over(Some(now + Duration::from_secs(3600))));
        assert!(!is_over(None));
    }
}
