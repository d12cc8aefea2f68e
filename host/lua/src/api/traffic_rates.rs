//! How fast the traffic of an instance is: `bw_in` and `bw_out` of `application.getStats()`.

use std::cell::Cell;
use std::time::{Duration, Instant};

use introd_policy::InstanceTotals;

/// The shortest time over which a rate is measured.
const MIN_SPAN: Duration = Duration::from_secs(1);

/// Bytes in a second, measured from one time that a script asks to the next.
pub(crate) struct TrafficRates {
    since: Cell<Instant>,
    before: Cell<InstanceTotals>,
    rates: Cell<(u64, u64)>,
}

impl TrafficRates {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: Cell::new(now), before: Cell::default(), rates: Cell::default() }
    }

    /// The rates to and from the server by these counts. If the script has asked within a second before, they are those that it got then.
    pub(super) fn at(&self, now: Instant, totals: &InstanceTotals) -> (u64, u64) {
        let span = now.saturating_duration_since(self.since.get());
        if span >= MIN_SPAN {
            let before = self.before.replace(*totals);
            let rate = |now: u64, before: u64| (now.saturating_sub(before) as f64 / span.as_secs_f64()) as u64;
            self.rates.set((rate(totals.bytes_in, before.bytes_in), rate(totals.bytes_out, before.bytes_out)));
            self.since.set(now);
        }
        self.rates.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_time_since_the_last_question_and_at_least_a_second() {
        let start = Instant::now();
        let at = |rates: &TrafficRates, milliseconds, bytes_in, bytes_out| {
            let totals = InstanceTotals { bytes_in, bytes_out, ..InstanceTotals::default() };
            rates.at(start + Duration::from_millis(milliseconds), &totals)
        };
        let rates = TrafficRates::new(start);
        assert_eq!(at(&rates, 500, 5000, 50), (0, 0));
        assert_eq!(at(&rates, 2000, 8000, 100), (4000, 50));
        assert_eq!(at(&rates, 2999, 9000, 100), (4000, 50));
        assert_eq!(at(&rates, 4000, 9000, 300), (500, 100));
        // Counts never fall; if they did, no rate would be absurd.
        assert_eq!(at(&rates, 5000, 0, 0), (0, 0));
    }
}
