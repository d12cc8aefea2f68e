//! Lookups on a worker: whom they lead to whom, who is asked about them, and what is counted.

mod following;
mod introductions;
mod plugins;
mod registry;
mod relaying;
mod scripts;

use crate::introducer::Counter;
use crate::meetings::LookupAnswer;
use crate::serve::testing::World;

/// How many lookups got that answer, whoever decided.
fn verdicts(world: &World, answer: LookupAnswer) -> u64 {
    let totals = world.services.verdicts.totals();
    totals.iter().filter(|verdict| verdict.answer == answer).map(|verdict| verdict.count).sum()
}

/// What was counted of lookups, introductions and denials.
fn counted(world: &World) -> [u64; 5] {
    [Counter::Lookups, Counter::Redirects, Counter::Forwards, Counter::LookupsDenied, Counter::UnknownTargets]
        .map(|counter| world.count(counter))
}
