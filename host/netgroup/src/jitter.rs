//! Waits that vary, so that members do not fall into step.

use std::time::Duration;

/// A time between three quarters and five quarters of `wait`.
pub(crate) fn varied(wait: Duration, random: u64) -> Duration {
    wait * 3 / 4 + wait.mul_f64((random % 1024) as f64 / 2048.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_varies_by_a_quarter() {
        let wait = Duration::from_secs(8);
        assert_eq!(varied(wait, 0), Duration::from_secs(6));
        assert_eq!(varied(wait, 512), Duration::from_secs(8));
        assert!(
            (0..5000).all(|random| (Duration::from_secs(6)..Duration::from_secs(10)).contains(&varied(wait, random)))
        );
    }
}
