//! How long handshakes take, and policies that do not decide at once: histograms for the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;

/// The upper bounds of the histograms' buckets, in microseconds. One more bucket has what is above the last.
pub const BOUNDS: [u64; 14] =
    [100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000];

/// How many plugins have a histogram of their own.
const MAX_PLUGINS: usize = 64;

/// Counts times by buckets. Any thread may.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// The counts of a [`Histogram`] at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistogramCounts {
    /// How many times fell into each bucket, and into the last, which has no bound.
    pub counts: [u64; BOUNDS.len() + 1],
    /// The sum of all times.
    pub sum: Duration,
}

impl HistogramCounts {
    /// The time that the given share of all times did not exceed: an upper bound, that of its bucket. `None` if nothing was counted; the
    /// last bound if the time is above it.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let total: u64 = self.counts.iter().sum();
        let wanted = (total as f64 * share).ceil().max(1.0) as u64;
        let mut below = 0;
        let bucket = self.counts.iter().position(|count| {
            below += count;
            below >= wanted
        })?;
        BOUNDS.get(bucket).or(BOUNDS.last()).map(|bound| Duration::from_micros(*bound))
    }
}

impl Histogram {
    /// Counts a time.
    pub fn record(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// The present counts.
    pub fn counts(&self) -> HistogramCounts {
        let mut counts = HistogramCounts {
            sum: Duration::from_micros(self.micros.load(Ordering::Relaxed)),
            ..HistogramCounts::default()
        };
        for (count, known) in counts.counts.iter_mut().zip(&self.counts) {
            *count = known.load(Ordering::Relaxed);
        }
        counts
    }
}

/// Which policy a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedPolicy<'a> {
    /// A plugin, by the name of its library.
    Plugin(&'a str),
    /// A script.
    Script,
    /// The registry.
    Registry,
}

/// The histograms of a server. Nothing that decides at once is counted here, so that no lookup pays for it.
#[derive(Debug, Default)]
pub struct Latencies {
    /// From the arrival of a keying to its result, the time in the queue included.
    pub handshakes: Histogram,
    /// From the question to the verdict of a script, or to the deadline.
    pub scripts: Histogram,
    /// From the question to the answer of the registry, or to the deadline.
    pub registry: Histogram,
    /// From the question to the verdict of each plugin that deferred it, or to the deadline.
    plugins: RwLock<Vec<(Box<str>, Arc<Histogram>)>>,
}

impl Latencies {
    /// Counts how long a request has waited for a policy.
    pub fn record(&self, policy: AskedPolicy<'_>, time: Duration) {
        match policy {
            AskedPolicy::Script => self.scripts.record(time),
            AskedPolicy::Registry => self.registry.record(time),
            AskedPolicy::Plugin(name) => {
                if let Some(plugin) = self.plugin(name) {
                    plugin.record(time);
                }
            }
        }
    }

    /// The counts of each plugin, by its name.
    pub fn plugins(&self) -> Vec<(Box<str>, HistogramCounts)> {
        self.plugins.read().iter().map(|(name, histogram)| (name.clone(), histogram.counts())).collect()
    }

    fn plugin(&self, name: &str) -> Option<Arc<Histogram>> {
        let find = |plugins: &[(Box<str>, Arc<Histogram>)]| {
            plugins.iter().find(|(known, _)| **known == *name).map(|(_, histogram)| Arc::clone(histogram))
        };
        if let Some(known) = find(&self.plugins.read()) {
            return Some(known);
        }
        let mut plugins = self.plugins.write();
        if let Some(known) = find(&plugins) {
            return Some(known);
        }
        let histogram = Arc::<Histogram>::default();
        (plugins.len() < MAX_PLUGINS).then(|| plugins.push((name.into(), Arc::clone(&histogram))))?;
        Some(histogram)
    }
}

#[cfg(test)]
mod tests {
    use introd_policy::Verdict;

    use super::*;

    #[test]
    fn a_quantile_is_the_bound_of_its_bucket() {
        let histogram = Histogram::default();
        assert_eq!(histogram.counts().quantile(0.5), None);
        (0..98).for_each(|_| histogram.record(Duration::from_micros(200)));
        (0..2).for_each(|_| histogram.record(Duration::from_millis(40)));
        let quantile = |share| histogram.counts().quantile(share).unwrap();
        assert_eq!([0.0, 0.5, 0.98].map(quantile), [Duration::from_micros(250); 3]);
        assert_eq!([0.99, 1.0].map(quantile), [Duration::from_millis(50); 2]);
        histogram.record(Duration::from_secs(60));
        assert_eq!(histogram.counts().quantile(1.0), Some(Duration::from_secs(5)), "no bound is above it");
    }

    use crate::serve::testing::{World, with_application};

    #[test]
    fn a_time_falls_into_the_first_bucket_whose_bound_is_not_below_it() {
        let histogram = Histogram::default();
        for micros in [0, 100, 101, 5_000_000, 5_000_001, 60_000_000] {
            histogram.record(Duration::from_micros(micros));
        }
        let HistogramCounts { counts, sum } = histogram.counts();
        assert_eq!((counts[0], counts[1], counts[13], counts[14]), (2, 1, 1, 2));
        assert_eq!((counts.iter().sum::<u64>(), sum), (6, Duration::from_micros(70_000_202)));
    }

    #[test]
    fn each_policy_has_a_histogram_and_a_bounded_number_of_plugins_has_one() {
        let latencies = Latencies::default();
        let second = Duration::from_secs(1);
        latencies.record(AskedPolicy::Script, second);
        (0..2).for_each(|_| latencies.record(AskedPolicy::Registry, second));
        let total = |histogram: &Histogram| histogram.counts().counts.iter().sum::<u64>();
        assert_eq!((total(&latencies.scripts), total(&latencies.registry)), (1, 2));
        for number in 0..2 * MAX_PLUGINS {
            (0..3).for_each(|_| latencies.record(AskedPolicy::Plugin(&number.to_string()), second));
        }
        let plugins = latencies.plugins();
        assert_eq!(plugins.len(), MAX_PLUGINS);
        assert!(plugins.iter().all(|(_, histogram)| histogram.sum == 3 * second));
    }

    #[test]
    fn what_a_script_takes_to_decide_is_counted_and_so_is_what_it_lets_pass() {
        let mut world = World::with_config(|config| with_application(config, "app", |_| ()));
        let scripts = |world: &World| world.services.latencies.scripts.counts();
        let client = world.add();
        world.connect(client, "rtmfp://host/app");
        let request = world.script.asked();
        world.advance(Duration::from_millis(20));
        world.decide(request, Verdict::Continue);
        assert_eq!(scripts(&world).sum, Duration::from_millis(20));
        let late = world.add();
        world.connect(late, "rtmfp://host/app");
        let deadline = introd_config::Config::built_in().default_adaptor.default_vhost.defaults.policy.deadline;
        world.advance(deadline);
        world.exchange();
        let counts = scripts(&world);
        assert_eq!(counts.counts.iter().sum::<u64>(), 2);
        assert!(counts.sum >= Duration::from_millis(20) + deadline);
        let handshakes = world.services.latencies.handshakes.counts();
        assert_eq!(handshakes.counts.iter().sum::<u64>(), 2, "both have shaken hands");
    }
}
