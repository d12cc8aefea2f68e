//! Native plugins.

use std::collections::BTreeSet;
use std::sync::Arc;

use introd_native::PluginInstance;
use serde_json::{Value, json};

use super::Ask;
use crate::serve::HistogramCounts;

impl Ask<'_> {
    /// The instances of plugins that are in force, and the registry if a plugin is that.
    pub(super) fn plugins(&self) -> Value {
        let applications = &self.inspector.services.applications;
        let (known, latencies) = (applications.plugins(), self.inspector.services.latencies.plugins());
        let policies = known.instances().into_iter().map(|plugin| (plugin, false));
        let registries = known.registries().into_iter().map(|plugin| (plugin, true));
        let plugins = policies.chain(registries).map(|(plugin, is_registry)| {
            let library = plugin.library();
            let latency = latencies.iter().find(|(name, _)| **name == *library.name()).map(|(_, counts)| counts);
            let account = plugin.account();
            let (major, minor) = library.abi();
            json!({
                "name": library.name(),
                "version": library.version(),
                "description": library.description(),
                "abi": format!("{major}.{minor}"),
                "library": library.path().display().to_string(),
                "is_registry": is_registry,
                "applications": self.applications_with(&plugin),
                "is_disabled": plugin.is_disabled(),
                "calls": account.calls(),
                "call_seconds": account.time().as_secs_f64(),
                "failures": account.failures(),
                "slow_calls": account.slow(),
                "timeouts": account.timeouts(),
                "decision_seconds": histogram(latency.unwrap_or(&HistogramCounts::default())),
            })
        });
        json!({"plugins": plugins.collect::<Vec<_>>()})
    }

    /// The names of the applications that ask a plugin; `*` stands for all that are not registered, where their virtual host has it.
    fn applications_with(&self, plugin: &Arc<PluginInstance>) -> BTreeSet<String> {
        let plugins = self.inspector.services.applications.plugins();
        let asks = |wanted: &[introd_config::Plugin]| plugins.chain(wanted).iter().any(|one| Arc::ptr_eq(one, plugin));
        let registered = self.config.registered().filter(|(_, _, _, registered)| asks(&registered.settings.plugins));
        let mut names: BTreeSet<String> = registered.map(|(_, _, name, _)| name.to_owned()).collect();
        let mut vhosts = self.config.all_adaptors().flat_map(|adaptor| adaptor.all_vhosts());
        if vhosts.any(|vhost| asks(&vhost.defaults.plugins)) {
            names.insert("*".to_owned());
        }
        names
    }
}

/// How long decisions took, in seconds. The percentiles are upper bounds: those of the histogram's buckets.
pub(super) fn histogram(counts: &HistogramCounts) -> Value {
    let quantile = |share| counts.quantile(share).map(|time| time.as_secs_f64());
    json!({
        "count": counts.counts.iter().sum::<u64>(),
        "sum": counts.sum.as_secs_f64(),
        "p50": quantile(0.5),
        "p99": quantile(0.99),
    })
}
