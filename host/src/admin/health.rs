//! Whether the server is well, and whether it is ready for clients.

use std::fmt::Write as _;

use super::inspector::Inspector;
use crate::introducer::Counter;
use crate::serve::WorkerReport;

/// What is wrong, in lines; nothing if all is well.
pub(super) type Problems = Vec<String>;

/// Whether all workers answer.
pub(super) async fn health(inspector: &Inspector) -> Problems {
    silent(&inspector.worker_reports().await)
}

fn silent(reports: &[Option<WorkerReport>]) -> Problems {
    let silent = reports.iter().enumerate().filter(|(_, report)| report.is_none());
    silent.map(|(worker, _)| format!("worker {worker} does not answer")).collect()
}

/// Whether all workers answer, and all applications work. The server listens before its administration does.
pub(super) async fn readiness(inspector: &Inspector) -> Problems {
    readiness_by(inspector, &inspector.worker_reports().await)
}

/// The same, by what the workers have answered.
pub(super) fn readiness_by(inspector: &Inspector, reports: &[Option<WorkerReport>]) -> Problems {
    let mut problems = silent(reports);
    if inspector.services.drain.order().is_some() {
        problems.push("the server drains: it takes no new clients".to_owned());
    }
    let applications = &inspector.services.applications;
    let config = applications.config();
    for (_, vhost, name, registered) in config.registered() {
        if registered.closed.is_some() {
            problems.push(format!("application {name} of {} rejects clients: see the log", vhost.name));
        }
    }
    for instance in applications.all_instances() {
        if instance.actor().is_some_and(|script| script.has_failed()) {
            problems.push(format!("the script of {} does not load: see the log", instance.name()));
        }
    }
    problems
}

/// The answer for people, and what the registry does.
pub(super) fn text(problems: &[String], inspector: Option<&Inspector>) -> String {
    let mut text = if problems.is_empty() { "ok\n".to_owned() } else { problems.join("\n") + "\n" };
    if let Some(inspector) = inspector {
        let counters = inspector.services.counters.snapshot();
        let kind = if inspector.services.announcer.is_some() { "shared" } else { "in memory, this server only" };
        let (failures, timeouts) = (counters.get(Counter::RegistryFailures), counters.get(Counter::RegistryTimeouts));
        // Writing into a string cannot fail.
        let _ = writeln!(text, "registry: {kind}; {failures} lookups failed there, {timeouts} were too late");
    }
    text
}
