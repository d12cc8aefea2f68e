//! Lookups on a worker: whom they lead to whom, who is asked about them, and what is counted.

mod following;
mod introductions;
mod plugins;
mod registry;
mod relaying;
mod scripts;

use crate::introducer::Counter;
use crate::serve::testing::World;

/// What was counted of lookups, introductions and denials.
fn counted(world: &World) -> [u64; 5] {
    [Counter::Lookups, Counter::Redirects, Counter::Forwards, Counter::LookupsDenied, Counter::UnknownTargets]
        .map(|counter| world.count(counter))
}
