//! Times by the clock: Welch's t-test of one secret against random ones (Reparaz, Balasch and Verbauwhede, "Dude, is my code constant time?", 2017).

use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::subjects::Subject;

/// A difference that chance alone shows once in some hundred thousand tests.
pub(crate) const SUSPICIOUS: f64 = 4.5;
/// Random secrets among which each measurement takes one.
const SECRETS: u64 = 64;
/// Measurements above this share of all are left out of one of the tests: interruptions make them slow.
const CROPPED_AT: [f64; 3] = [0.5, 0.9, 1.0];

/// What was measured of a subject.
pub(crate) struct Timing {
    /// In nanoseconds for each time the computation is done, with the one secret and with random ones: medians.
    pub(crate) medians: [f64; 2],
    pub(crate) count: usize,
    /// The statistic of Welch's test that is farthest from 0.
    pub(crate) t: f64,
}

/// Measures for so long.
pub(crate) fn time(subject: &Subject, duration: Duration) -> Timing {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let start = Instant::now();
    let mut times: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    while start.elapsed() < duration || times.iter().any(|times| times.len() < 100) {
        // Each in turn makes what it computes with anew, so that no memory is better known to the processor.
        let is_random = rng.next_u32() % 2 == 1;
        let random = 3 + rng.next_u64() % SECRETS;
        let mut compute = (subject.on_secret)(if is_random { random } else { 0 });
        compute();
        let start = Instant::now();
        for _ in 0..subject.repeat {
            compute();
        }
        let nanos = start.elapsed().as_nanos() as f64 / f64::from(subject.repeat);
        times[usize::from(is_random)].push(nanos);
    }
    let mut all: Vec<f64> = times.concat();
    all.sort_by(f64::total_cmp);
    let mut t = 0.0;
    for share in CROPPED_AT {
        let limit = quantile(&all, share);
        let cropped = times.each_ref().map(|times| times.iter().copied().filter(|time| *time <= limit).collect());
        let statistic = welch(&cropped);
        if statistic.abs() > f64::abs(t) {
            t = statistic;
        }
    }
    let medians = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        quantile(&times, 0.5)
    });
    Timing { medians, count: all.len(), t }
}

/// Of sorted numbers, of which there are some.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

/// How many standard errors the means are apart.
fn welch(samples: &[Vec<f64>; 2]) -> f64 {
    let [one, other] = samples.each_ref().map(|sample| {
        let count = sample.len() as f64;
        let mean = sample.iter().sum::<f64>() / count;
        let squares: f64 = sample.iter().map(|value| (value - mean).powi(2)).sum();
        (mean, squares / (count - 1.0) / count)
    });
    (one.0 - other.0) / (one.1 + other.1).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_that_differ_are_told_from_those_that_do_not() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut sample = |more: f64| (0..1000).map(|_| f64::from(rng.next_u32() % 100) + more).collect::<Vec<_>>();
        let same = [sample(0.0), sample(0.0)];
        assert!(welch(&same).abs() < SUSPICIOUS, "{}", welch(&same));
        let different = [sample(0.0), sample(10.0)];
        assert!(welch(&different) < -SUSPICIOUS, "{}", welch(&different));
        // Two samples of which everything is known: means 2 and 4, variances 1.
        let known = welch(&[vec![1.0, 2.0, 3.0], vec![3.0, 4.0, 5.0]]);
        assert!((known + 2.0 / (2.0_f64 / 3.0).sqrt()).abs() < 1e-9, "{known}");
    }
}
