//! Metrics that plugins add to the server's.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

/// The most metrics of one instance.
const MAX_METRICS: usize = 256;
const MAX_NAME: usize = 64;
const MAX_HELP: usize = 256;

/// A metric of a plugin, with its value at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginMetric {
    /// `plugin_NAME_METRIC`
    pub name: String,
    /// What it counts, in words.
    pub help: String,
    /// Whether it is a gauge, which may go down, and no counter.
    pub is_gauge: bool,
    /// The value.
    pub value: i64,
}

/// A metric that counts.
pub(super) struct Metric {
    name: String,
    help: String,
    is_gauge: bool,
    value: AtomicI64,
}

/// The metrics of all plugins. An instance that takes over from another goes on with its metrics.
#[derive(Default)]
pub(super) struct Metrics(Mutex<Vec<Arc<Metric>>>);

impl Metrics {
    fn get(&self, name: String, help: &str, is_gauge: bool) -> Option<Arc<Metric>> {
        let mut all = self.0.lock();
        if let Some(known) = all.iter().find(|metric| metric.name == name) {
            return (known.is_gauge == is_gauge).then(|| Arc::clone(known));
        }
        let help = help.chars().filter(|character| !character.is_control()).take(MAX_HELP).collect();
        let metric = Arc::new(Metric { name, help, is_gauge, value: AtomicI64::new(0) });
        all.push(Arc::clone(&metric));
        Some(metric)
    }

    pub(super) fn snapshot(&self) -> Vec<PluginMetric> {
        let all = self.0.lock();
        let metrics = all.iter().map(|metric| PluginMetric {
            name: metric.name.clone(),
            help: metric.help.clone(),
            is_gauge: metric.is_gauge,
            value: metric.value.load(Ordering::Relaxed),
        });
        metrics.collect()
    }
}

/// The metrics of one instance, by number: an instance may use them on every lookup.
pub(super) struct OwnMetrics {
    prefix: String,
    own: Box<[OnceLock<Arc<Metric>>]>,
}

impl OwnMetrics {
    pub(super) fn new(plugin: &str) -> Self {
        let prefix = format!("plugin_{}_", plugin.replace('-', "_").to_ascii_lowercase());
        Self { prefix, own: (0..MAX_METRICS).map(|_| OnceLock::new()).collect() }
    }

    /// The number of a metric, from 1; 0 if it is refused.
    pub(super) fn find(&self, all: &Metrics, name: &str, help: &str, is_gauge: bool) -> u32 {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_name) {
            return 0;
        }
        let full = format!("{}{name}", self.prefix);
        for (index, slot) in self.own.iter().enumerate() {
            // Two threads that make the same metric may get two numbers for it; both numbers count for it.
            match slot.get() {
                Some(known) if known.name != full => continue,
                Some(known) => return if known.is_gauge == is_gauge { index as u32 + 1 } else { 0 },
                None => (),
            }
            let Some(metric) = all.get(full.clone(), help, is_gauge) else { return 0 };
            if slot.set(metric).is_ok() {
                return index as u32 + 1;
            }
        }
        0
    }

    fn get(&self, number: u32) -> Option<&Metric> {
        Some(self.own.get((number as usize).checked_sub(1)?)?.get()?)
    }

    pub(super) fn add(&self, number: u32, amount: i64) {
        if let Some(metric) = self.get(number)
            && (metric.is_gauge || amount >= 0)
        {
            metric.value.fetch_add(amount, Ordering::Relaxed);
        }
    }

    pub(super) fn set(&self, number: u32, value: i64) {
        if let Some(metric) = self.get(number).filter(|metric| metric.is_gauge) {
            metric.value.store(value, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_found_again_and_bounded() {
        let all = Metrics::default();
        let (own, next) = (OwnMetrics::new("Lookup-Filter"), OwnMetrics::new("Lookup-Filter"));
        let denied = own.find(&all, "denied", "How many", false);
        assert_ne!(denied, 0);
        assert_eq!(own.find(&all, "denied", "", false), denied);
        assert_eq!(own.find(&all, "denied", "", true), 0, "it is a counter");
        for bad in ["", "Denied", "a b", &"x".repeat(65)] {
            assert_eq!(own.find(&all, bad, "", false), 0, "{bad}");
        }
        own.add(denied, 2);
        own.add(denied, -1);
        own.set(denied, 9);
        own.add(0, 1);
        own.add(4711, 1);
        let again = next.find(&all, "denied", "", false);
        next.add(again, 1);
        let size = own.find(&all, "size", "", true);
        own.set(size, 7);
        own.add(size, -10);
        let values: Vec<_> = all.snapshot().into_iter().map(|metric| (metric.name, metric.value)).collect();
        assert_eq!(
            values,
            [("plugin_lookup_filter_denied".to_owned(), 3), ("plugin_lookup_filter_size".to_owned(), -3)]
        );
        for number in 0..400 {
            own.find(&all, &format!("n{number}"), "", false);
        }
        assert_eq!(own.find(&all, "one_more", "", false), 0);
    }

    #[test]
    fn a_name_is_made_of_small_letters_digits_and_underscores() {
        let (all, own) = (Metrics::default(), OwnMetrics::new("p"));
        let is_taken = |name: &str| own.find(&all, name, "", false) != 0;
        assert!(is_taken("az_09") && is_taken("a") && is_taken(&"x".repeat(MAX_NAME)));
        for bad in ["a-b", "a.b", "A", "\u{e4}", "a\n", &"x".repeat(MAX_NAME + 1)] {
            assert!(!is_taken(bad), "{bad}");
        }
    }

    #[test]
    fn an_instance_has_so_many_metrics_each_with_its_own_number() {
        let (all, own) = (Metrics::default(), OwnMetrics::new("p"));
        let find = |number: usize| own.find(&all, &format!("n{number}"), "", number % 2 == 1);
        let numbers = || (0..MAX_METRICS).map(find).collect::<Vec<_>>();
        assert_eq!(numbers(), (1..=256).collect::<Vec<u32>>());
        assert_eq!(numbers(), (1..=256).collect::<Vec<u32>>(), "they are found again");
        assert_eq!(find(MAX_METRICS), 0);
        // Without room at this instance, another may still have it.
        assert_eq!(OwnMetrics::new("p").find(&all, "one_more", "", false), 1);
        own.add(256, 5);
        own.add(257, 5);
        own.set(1, 5);
        own.add(2, 0);
        own.add(1, 0);
        let values: Vec<i64> = all.snapshot().into_iter().map(|metric| metric.value).collect();
        assert_eq!((values[255], values.iter().sum::<i64>()), (5, 5));
    }

    #[test]
    fn what_a_plugin_says_of_a_metric_is_bounded_and_one_line() {
        let all = Metrics::default();
        let (own, next) = (OwnMetrics::new("p"), OwnMetrics::new("p"));
        let name = "n".repeat(MAX_NAME);
        assert_ne!(own.find(&all, &name, &format!("a\nb\t{}", "h".repeat(1000)), false), 0);
        let metric = &all.snapshot()[0];
        assert_eq!((metric.help.len(), &metric.help[..3], metric.is_gauge), (MAX_HELP, "abh", false));
        assert_eq!(next.find(&all, &name, "", true), 0, "another instance has it as a counter");
        assert_eq!(all.snapshot().len(), 1);
    }
}
