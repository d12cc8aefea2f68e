//! The counters, by the names that AMS and this server give them.

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use crate::admin::calendar::Rfc3339;
use crate::admin::inspector::Inspector;
use crate::introducer::Counter;

/// The sums of all workers' counters, and how many clients and peers there are.
pub(super) fn counters(inspector: &Inspector) -> Value {
    let snapshot = inspector.services.counters.snapshot();
    let counters: Map<String, Value> =
        Counter::ALL.iter().map(|counter| (counter.name().to_owned(), snapshot.get(*counter).into())).collect();
    json!({
        "at": Rfc3339(SystemTime::now()).to_string(),
        "counters": counters,
        "clients": inspector.services.applications.clients(),
        "peers": inspector.services.directory.len(),
    })
}
