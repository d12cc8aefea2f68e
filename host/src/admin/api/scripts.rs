//! The scripts of application instances.

use serde_json::{Value, json};

use super::applications::{page_of, place};
use super::paging::Page;
use super::{Answer, Ask};
use crate::admin::calendar::Rfc3339;
use crate::apps::AppInstance;

impl Ask<'_> {
    /// The scripts that run or should run, each once for each instance.
    pub(super) fn scripts(&self) -> Answer {
        let page = Page::read(self.query)?;
        let instances = self.inspector.services.applications.all_instances();
        let with_script = instances.iter().filter(|instance| instance.actor().is_some()).collect();
        let (instances, next) = page_of(with_script, |instance| place(instance), &page)?;
        let scripts: Vec<Value> = instances.into_iter().map(|instance| describe(instance)).collect();
        Ok(json!({"scripts": scripts, "next": next}))
    }
}

fn describe(instance: &AppInstance) -> Value {
    let name = instance.name();
    let actor = instance.actor();
    let errors = actor.map(|actor| actor.errors()).unwrap_or_default();
    let errors: Vec<Value> = errors
        .iter()
        .map(|error| json!({"at": Rfc3339(error.at).to_string(), "text": introd_log::text::shown(&error.text)}))
        .collect();
    json!({
        "adaptor": name.adaptor,
        "vhost": name.vhost,
        "application": name.application,
        "instance": name.instance,
        "file": actor.and_then(|actor| actor.file()).map(|file| file.display().to_string()),
        "has_failed": actor.is_some_and(|actor| actor.has_failed()),
        "is_over": actor.is_some_and(|actor| actor.is_over()),
        "memory_bytes": actor.map_or(0, |actor| actor.memory()),
        "max_memory_bytes": instance.settings().script.memory,
        "busy_seconds": actor.map_or(0.0, |actor| actor.time().as_secs_f64()),
        "errors": errors,
    })
}
