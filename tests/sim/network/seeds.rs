//! Which runs to make: each is told by its seed, and a failure names it.

use super::Sim;

/// With this set in the environment, only the run with that seed is made.
const VARIABLE: &str = "INTROD_SIM_SEED";

/// Runs a scenario once with each seed from 0.
pub(crate) fn for_seeds(count: u64, scenario: impl Fn(&mut Sim)) {
    let chosen = std::env::var(VARIABLE).ok().map(|seed| seed.parse::<u64>().expect("a seed is a number"));
    let seeds = chosen.map_or(0..count, |seed| seed..seed + 1);
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
