//! Which runs to make: each is told by its seed, and a failure names it.

use super::Sim;

/// With this set in the environment, only the run with that seed is made.
const VARIABLE: &str = "INTROD_SIM_SEED";
/// With this set, so many times as many runs are made.
const FACTOR: &str = "INTROD_SIM_FACTOR";

/// Runs a scenario once with each seed from 0.
pub(crate) fn for_seeds(count: u64, scenario: impl Fn(&mut Sim)) {
    let number = |name| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let seeds = number(VARIABLE).map_or(0..count * number(FACTOR).unwrap_or(1), |seed| seed..seed + 1);
    for seed in seeds {
        let _named = NameOnPanic(seed);
        scenario(&mut Sim::new(seed));
    }
}

struct NameOnPanic(u64);

impl Drop for NameOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with seed {0}; to repeat only this run: {VARIABLE}={0}", self.0);
        }
    }
}
