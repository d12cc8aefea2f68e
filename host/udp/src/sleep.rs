//! Waiting until a deadline.

use std::pin::Pin;
use std::time::Instant;

use tokio::time::Sleep;

/// Waits until `deadline`; for ever if there is none.
pub async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// A timer for a loop that waits until another deadline in each turn, and mostly does not wait that long.
///
/// Setting a timer of the runtime takes locks, and may wake the runtime. So a timer that is set to a later time is left as it is: it goes
/// off once, and is set anew then. A loop that is busy seldom sets it.
pub struct Alarm(Pin<Box<Sleep>>);

impl Alarm {
    /// A timer that is set to `deadline`.
    ///
    /// # Panics
    /// Outside a tokio runtime with time enabled.
    pub fn new(deadline: Instant) -> Self {
        Self(Box::pin(tokio::time::sleep_until(deadline.into())))
    }

    /// Waits until `deadline`. Dropping the future leaves the timer set, for the next call.
    pub async fn wait_until(&mut self, deadline: Instant) {
        let deadline = deadline.into();
        if self.0.is_elapsed() || deadline < self.0.deadline() {
            self.0.as_mut().reset(deadline);
        }
        loop {
            self.0.as_mut().await;
            if self.0.deadline() >= deadline {
                return;
            }
            self.0.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use super::*;

    fn is_over(wait: impl Future<Output = ()>) -> bool {
        pin!(wait).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn only_a_deadline_that_has_passed_ends_the_wait() {
        let now = Instant::now();
        sleep_until(Some(now)).await;
        assert!(!is_over(sleep_until(Some(now + Duration::from_secs(3600)))));
        assert!(!is_over(sleep_until(None)));
    }

    #[tokio::test]
    async fn an_alarm_goes_off_at_the_last_deadline_whatever_it_was_set_to_before() {
        let now = Instant::now();
        let [hour, day] = [3600, 86_400].map(|seconds| now + Duration::from_secs(seconds));
        let mut alarm = Alarm::new(day);
        assert!(!is_over(alarm.wait_until(hour)));
        assert_eq!(alarm.0.deadline(), hour.into());
        assert!(!is_over(alarm.wait_until(day)));
        assert_eq!(alarm.0.deadline(), hour.into(), "a later time is not set yet");
        alarm.wait_until(now).await;
        assert!(!is_over(alarm.wait_until(hour)), "one that has gone off is set anew");
        // One that goes off at an earlier time than the deadline waits for the deadline.
        let (soon, later) = (Instant::now() + Duration::from_millis(20), Instant::now() + Duration::from_millis(60));
        is_over(alarm.wait_until(soon));
        alarm.wait_until(later).await;
        assert!(Instant::now() >= later);
    }
}
