//! Counts what was decided about lookups, by the policy that decided.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use super::deciding_policy::DecidingPolicy;
use super::outcome::LookupAnswer;

/// How many plugins are counted by name. What further ones decide is counted under [`OTHERS`].
const MAX_PLUGINS: usize = 64;
/// The policies that have a place without a name.
const OWN: [DecidingPolicy<'static>; 3] = [DecidingPolicy::Server, DecidingPolicy::Script, DecidingPolicy::Registry];
/// The name under which the plugins beyond [`MAX_PLUGINS`] are counted.
const OTHERS: &str = "other plugins";

const ANSWERS: usize = LookupAnswer::ALL.len();

type AnswerCounts = [AtomicU64; ANSWERS];

/// How often a policy gave an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictCount {
    /// The name of the policy: [`DecidingPolicy::name`].
    pub policy: String,
    /// The answer.
    pub answer: LookupAnswer,
    /// How many lookups got it.
    pub count: u64,
}

/// The counts of one worker. Only that worker adds to them, and any thread reads them; they fill pairs of cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct WorkerVerdicts {
    own: [AnswerCounts; OWN.len()],
    plugins: RwLock<Vec<(Box<str>, AnswerCounts)>>,
}

impl WorkerVerdicts {
    fn add_plugin(&self, name: &str, answer: LookupAnswer) {
        if !self.add_known(name, answer) {
            let mut plugins = self.plugins.write();
            let name = if plugins.len() < MAX_PLUGINS { name } else { OTHERS };
            if plugins.len() <= MAX_PLUGINS {
                plugins.push((name.into(), AnswerCounts::default()));
            }
            drop(plugins);
            self.add_known(name, answer);
        }
    }

    /// Counts for a plugin that has its place, or for others if all places are taken.
    fn add_known(&self, name: &str, answer: LookupAnswer) -> bool {
        let plugins = self.plugins.read();
        let known = plugins.iter().find(|(known, _)| **known == *name);
        let known = known.or_else(|| plugins.get(MAX_PLUGINS));
        known.is_some_and(|(_, counts)| {
            counts[answer as usize].fetch_add(1, Ordering::Relaxed);
            true
        })
    }
}

/// The counts of all workers.
#[derive(Debug)]
pub struct VerdictCounts(Box<[WorkerVerdicts]>);

impl VerdictCounts {
    /// Counts for workers that are numbered from 0. There is at least one.
    pub fn new(workers: u8) -> Self {
        Self((0..workers.max(1)).map(|_| WorkerVerdicts::default()).collect())
    }

    /// Counts a lookup of a worker. A number that is too high gives the counts of another worker: the sum is still right.
    /// This waits for nothing but, once for each plugin, for readers.
    pub fn add(&self, worker: u8, policy: DecidingPolicy<'_>, answer: LookupAnswer) {
        let counts = &self.0[usize::from(worker) % self.0.len()];
        let own = match policy {
            DecidingPolicy::Server => 0,
            DecidingPolicy::Script => 1,
            DecidingPolicy::Registry => 2,
            DecidingPolicy::Plugin(name) => return counts.add_plugin(name, answer),
        };
        counts.own[own][answer as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The sums over all workers, in the order of the policies and answers. The server has a count for each answer; of other policies only
    /// the answers that they gave are listed.
    pub fn totals(&self) -> Vec<VerdictCount> {
        let mut names: Vec<(String, [u64; ANSWERS])> =
            OWN.iter().map(|policy| (policy.name().to_owned(), [0; ANSWERS])).collect();
        for worker in &self.0 {
            let plugins = worker.plugins.read();
            let own = OWN.iter().map(|policy| policy.name()).zip(&worker.own);
            let plugins = plugins.iter().map(|(name, counts)| (&**name, counts));
            for (place, (name, counts)) in own.chain(plugins).enumerate() {
                // A plugin may have the name of one of the server's own policies.
                let is_own = place < OWN.len();
                let range = if is_own { 0..OWN.len() } else { OWN.len()..names.len() };
                let first = range.start;
                let known = names[range].iter().position(|(known, _)| known == name);
                let known = known.map_or_else(
                    || {
                        names.push((name.to_owned(), [0; ANSWERS]));
                        names.len() - 1
                    },
                    |known| first + known,
                );
                for (sum, count) in names[known].1.iter_mut().zip(counts) {
                    *sum += count.load(Ordering::Relaxed);
                }
            }
        }
        let server = DecidingPolicy::Server.name();
        names
            .into_iter()
            .flat_map(|(policy, counts)| {
                LookupAnswer::ALL.into_iter().zip(counts).map(move |(answer, count)| (policy.clone(), answer, count))
            })
            .filter(|(policy, _, count)| *count > 0 || policy == server)
            .map(|(policy, answer, count)| VerdictCount { policy, answer, count })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(counts: &VerdictCounts) -> Vec<(String, &'static str, u64)> {
        let all = counts.totals().into_iter().filter(|count| count.count > 0);
        all.map(|count| (count.policy, count.answer.name(), count.count)).collect()
    }

    #[test]
    fn the_verdicts_of_all_workers_add_up_by_policy() {
        let counts = VerdictCounts::new(2);
        for (worker, policy, answer) in [
            (0, DecidingPolicy::Server, LookupAnswer::Introduced),
            (1, DecidingPolicy::Server, LookupAnswer::Introduced),
            (0, DecidingPolicy::Server, LookupAnswer::Denied),
            (1, DecidingPolicy::Script, LookupAnswer::Denied),
            (0, DecidingPolicy::Registry, LookupAnswer::SentElsewhere),
            (0, DecidingPolicy::Plugin("filter"), LookupAnswer::Denied),
            (1, DecidingPolicy::Plugin("filter"), LookupAnswer::Denied),
            (1, DecidingPolicy::Plugin("other"), LookupAnswer::Ignored),
        ] {
            counts.add(worker, policy, answer);
        }
        let expected = [
            ("the server", "introduced", 2),
            ("the server", "denied", 1),
            ("script", "denied", 1),
            ("registry", "sent_elsewhere", 1),
            ("filter", "denied", 2),
            ("other", "ignored", 1),
        ];
        assert_eq!(listed(&counts), expected.map(|(policy, answer, count)| (policy.to_owned(), answer, count)));
        let of_server = counts.totals().iter().filter(|count| count.policy == "the server").count();
        assert_eq!(of_server, ANSWERS, "also those that it never gave");
    }

    #[test]
    fn the_number_of_plugins_is_bounded_and_none_is_lost() {
        let counts = VerdictCounts::new(1);
        for plugin in 0..3 * MAX_PLUGINS {
            counts.add(0, DecidingPolicy::Plugin(&plugin.to_string()), LookupAnswer::Denied);
        }
        let listed = listed(&counts);
        assert_eq!(listed.len(), MAX_PLUGINS + 1);
        assert_eq!(listed.last().unwrap(), &(OTHERS.to_owned(), "denied", 2 * MAX_PLUGINS as u64));
    }
}
