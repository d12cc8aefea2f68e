//! The registry that servers share.

use introd_native::RegistryServer;
use serde_json::{Map, Value, json};

use super::Ask;
use super::plugins::histogram;
use crate::introducer::Counter;

impl Ask<'_> {
    /// What is known of the registry without asking it.
    pub(super) fn registry(&self) -> Value {
        let services = &self.inspector.services;
        let counters = services.counters.snapshot();
        let plugins = services.applications.plugins();
        let registries = plugins.registries();
        let name = registries.last().map(|plugin| plugin.library().name().to_owned());
        let servers = registries.last().and_then(|plugin| plugin.registry_servers()).map(|servers| {
            let describe = |server: RegistryServer| {
                let RegistryServer { name, is_self, is_alive } = server;
                json!({"name": introd_log::text::shown(&name), "is_self": is_self, "is_alive": is_alive})
            };
            servers.into_iter().map(describe).collect::<Vec<Value>>()
        });
        let is_shared = services.announcer.is_some();
        let prefix = name.as_ref().map(|name| format!("plugin_{}_", name.replace('-', "_").to_ascii_lowercase()));
        let metrics: Map<String, Value> = match &prefix {
            Some(prefix) => plugins
                .metrics()
                .into_iter()
                .filter_map(|metric| Some((metric.name.strip_prefix(prefix)?.to_owned(), metric.value.into())))
                .collect(),
            None => Map::new(),
        };
        // Of the registries that come with the server, the one that can be away says so in a metric of that name.
        let is_up = metrics.get("connected").and_then(Value::as_i64).map(|connected| connected != 0);
        let get = |counter| counters.get(counter);
        json!({
            "name": name,
            "is_shared": is_shared,
            "state": match (is_shared, is_up) {
                (false, _) => "in memory, this server only",
                (true, Some(false)) => "down",
                (true, Some(true)) => "up",
                (true, None) => "shared",
            },
            "is_up": is_up,
            "servers": servers,
            "published": metrics.get("entries"),
            "lookups": get(Counter::RegistryLookups),
            "calls": get(Counter::RegistryCalls),
            "failures": get(Counter::RegistryFailures),
            "timeouts": get(Counter::RegistryTimeouts),
            "busy": get(Counter::RegistryBusy),
            "unpublished": get(Counter::RegistryUnpublished),
            "group_queries": get(Counter::RegistryGroupQueries),
            "group_failures": get(Counter::RegistryGroupFailures),
            "lookup_seconds": histogram(&services.latencies.registry.counts()),
            "metrics": metrics,
        })
    }
}
