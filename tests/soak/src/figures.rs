//! What was done and how long it took.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Counts and times, by name. Any thread adds to them.
#[derive(Default)]
pub(crate) struct Figures(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    counts: BTreeMap<String, u64>,
    times: BTreeMap<String, Histogram<u64>>,
}

impl Figures {
    /// Counts one more of these.
    pub(crate) fn count(&self, name: &str) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match inner.counts.get_mut(name) {
            Some(count) => *count += 1,
            None => drop(inner.counts.insert(name.to_owned(), 1)),
        }
    }

    /// How many there are of these.
    pub(crate) fn counted(&self, name: &str) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).counts.get(name).copied().unwrap_or_default()
    }

    /// Notes how long one of these has taken.
    pub(crate) fn took(&self, name: &str, time: Duration) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !inner.times.contains_key(name)
            // Milliseconds, with two digits.
            && let Ok(times) = Histogram::new(2)
        {
            inner.times.insert(name.to_owned(), times);
        }
        if let Some(times) = inner.times.get_mut(name) {
            // Its range grows with what it is given.
            let _ = times.record(time.as_millis() as u64);
        }
    }

    /// All of them, as JSON; times in seconds.
    pub(crate) fn json(&self) -> Value {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times: serde_json::Map<String, Value> = inner
            .times
            .iter()
            .map(|(name, times)| {
                let at = |quantile| times.value_at_quantile(quantile) as f64 / 1000.0;
                let times =
                    json!({ "count": times.len(), "p50": at(0.5), "p99": at(0.99), "max": times.max() as f64 / 1000.0 });
                (name.clone(), times)
            })
            .collect();
        json!({ "counts": inner.counts, "seconds": times })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_times_by_name() {
        let figures = Figures::default();
        figures.count("lookups");
        figures.count("lookups");
        for number in 1..=100 {
            figures.took("a lookup", Duration::from_millis(number * 10));
        }
        assert_eq!((figures.counted("lookups"), figures.counted("nothing")), (2, 0));
        let json = figures.json();
        let time = &json["seconds"]["a lookup"];
        assert_eq!(time["count"], 100);
        // Two digits.
        let near = |name: &str, seconds: f64| (time[name].as_f64().unwrap() / seconds - 1.0).abs() < 0.02;
        assert!(near("p50", 0.5) && near("p99", 0.99) && near("max", 1.0), "{json}");
    }
}
