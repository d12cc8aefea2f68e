//! What is known of the server, and how it changes from one look to the next.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::remote::print::list;

/// How many rates of lookups are remembered: one for each column of a wide terminal.
const MAX_HISTORY: usize = 512;

/// What the server says at one time.
pub(super) struct Look {
    pub(super) at: Instant,
    pub(super) server: Value,
    pub(super) counters: Value,
    pub(super) applications: Value,
}

/// What is known of the server.
#[derive(Default)]
pub(super) struct State {
    pub(super) server: Value,
    /// How much each counter grew in a second.
    pub(super) rates: BTreeMap<String, f64>,
    /// The lookups in a second, the last ones at the end.
    pub(super) lookups: VecDeque<u64>,
    /// The instances, those with most clients first.
    pub(super) instances: Vec<Instance>,
    /// Whether there are more instances than these.
    pub(super) has_more: bool,
    /// Why the last look has failed.
    pub(super) failure: Option<String>,
    last: Option<(Instant, BTreeMap<String, f64>)>,
}

/// An application instance.
#[derive(Debug, PartialEq)]
pub(super) struct Instance {
    pub(super) name: String,
    pub(super) clients: u64,
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    /// The memory of its script in bytes, if it has one.
    pub(super) memory: Option<u64>,
}

impl State {
    /// Takes in what the server says.
    pub(super) fn take(&mut self, look: Look) {
        let Look { at, server, counters, applications } = look;
        let known = counters["counters"].as_object();
        let counted: BTreeMap<String, f64> =
            known.into_iter().flatten().filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect();
        if let Some((before, earlier)) = &self.last {
            self.rates = rates(earlier, &counted, at.saturating_duration_since(*before));
            if self.lookups.len() >= MAX_HISTORY {
                self.lookups.pop_front();
            }
            self.lookups.push_back(self.rate("rtmfp_lookups").round() as u64);
        }
        self.last = Some((at, counted));
        self.instances = instances(&applications);
        self.has_more = applications["next"].is_string();
        self.server = server;
        self.failure = None;
    }

    /// Notes that the server could not be asked. What was known stays on the screen.
    pub(super) fn failed(&mut self, error: &anyhow::Error) {
        self.failure = Some(format!("{error:#}"));
    }

    /// How much a counter grew in a second.
    pub(super) fn rate(&self, counter: &str) -> f64 {
        self.rates.get(counter).copied().unwrap_or_default()
    }
}

/// How much each counter grew in a second. A server that has started anew begins at 0.
fn rates(earlier: &BTreeMap<String, f64>, now: &BTreeMap<String, f64>, time: Duration) -> BTreeMap<String, f64> {
    let seconds = time.as_secs_f64();
    if seconds <= 0.0 {
        return BTreeMap::new();
    }
    let of = |(name, value): (&String, &f64)| {
        let before = earlier.get(name).copied().unwrap_or_default();
        let grown = if *value < before { *value } else { *value - before };
        (name.clone(), grown / seconds)
    };
    now.iter().map(of).collect()
}

fn instances(applications: &Value) -> Vec<Instance> {
    let mut found = Vec::new();
    for application in list(&applications["applications"]) {
        let name = application["name"].as_str().unwrap_or_default();
        for instance in list(&application["instances"]) {
            let number = |field: &str| instance[field].as_u64().unwrap_or_default();
            let name = format!("{name}/{}", instance["name"].as_str().unwrap_or_default());
            found.push(Instance {
                name: introd_log::text::shown(&name).into_owned(),
                clients: number("clients"),
                accepted: number("accepted"),
                rejected: number("rejected"),
                memory: instance["script_memory_bytes"].as_u64(),
            });
        }
    }
    found.sort_by(|one, other| other.clients.cmp(&one.clients).then_with(|| one.name.cmp(&other.name)));
    found
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// What a server says that has looked up so many peers.
    pub(in crate::cli::remote::top) fn look(at: Instant, lookups: u64) -> Look {
        Look {
            at,
            server: json!({
                "version": "0.1.0", "state": "serving", "uptime_seconds": 3700, "clients": 12, "sessions": 13,
                "cpu": {"used_percent": 3.5}, "memory_bytes": 24_000_000, "problems": [], "drain": null,
            }),
            counters: json!({"counters": {"rtmfp_lookups": lookups, "rtmfp_redirects": lookups / 2, "x": "y"}}),
            applications: json!({"applications": [
                {"name": "chat", "instances": [
                    {"name": "small", "clients": 2, "accepted": 5, "rejected": 1, "script_memory_bytes": null},
                    {"name": "large", "clients": 10, "accepted": 50, "rejected": 0, "script_memory_bytes": 2048},
                ]},
                {"name": "other\u{1b}[2J", "instances": [{"name": "_definst_", "clients": 2}]},
                {"name": "empty", "instances": []},
            ], "next": null}),
        }
    }

    #[test]
    fn rates_are_what_counters_grow_by_in_a_second() {
        let (mut state, start) = (State::default(), Instant::now());
        state.take(look(start, 100));
        assert!(state.rates.is_empty() && state.lookups.is_empty(), "one look makes no rate");
        state.take(look(start + Duration::from_secs(2), 300));
        assert_eq!((state.rate("rtmfp_lookups"), state.rate("rtmfp_redirects"), state.rate("no")), (100.0, 50.0, 0.0));
        // A server that has started anew.
        state.take(look(start + Duration::from_secs(3), 30));
        assert_eq!(state.rate("rtmfp_lookups"), 30.0);
        assert_eq!(state.lookups, [100, 30]);
        state.take(look(start + Duration::from_secs(3), 40));
        assert_eq!(state.rate("rtmfp_lookups"), 0.0, "no time has passed");
        for second in 0..2000 {
            state.take(look(start + Duration::from_secs(second), second));
        }
        assert_eq!(state.lookups.len(), MAX_HISTORY);
    }

    #[test]
    fn instances_with_most_clients_come_first_and_their_names_do_a_terminal_no_harm() {
        let mut state = State::default();
        state.take(look(Instant::now(), 0));
        let names: Vec<&str> = state.instances.iter().map(|instance| instance.name.as_str()).collect();
        assert_eq!(names, ["chat/large", "chat/small", "other\\u{1b}[2J/_definst_"]);
        let large = Instance { name: "chat/large".into(), clients: 10, accepted: 50, rejected: 0, memory: Some(2048) };
        assert_eq!(state.instances[0], large);
        assert!(!state.has_more);
    }

    #[test]
    fn what_is_known_stays_when_the_server_does_not_answer() {
        let mut state = State::default();
        state.take(look(Instant::now(), 0));
        state.failed(&anyhow::anyhow!("it does not answer"));
        assert_eq!(state.failure.as_deref(), Some("it does not answer"));
        assert!(state.server.is_object() && state.instances.len() == 3);
        state.take(look(Instant::now(), 0));
        assert_eq!(state.failure, None);
    }
}
