//! Changes the configuration while the server runs.

use std::sync::Arc;

use introd_config::{Config, Kept};
use introd_log::CONFIGURATION;
use introd_native::{LoadError, Plugins, Reconfigured as Told};

use super::identities::host_names;
use crate::serve::Services;

/// Changes the configuration while a server runs. This reads files, so it must not run on a thread that must not wait.
pub struct Reconfiguration {
    pub(super) services: Arc<Services>,
}

/// The result of a change of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconfigured {
    /// What takes effect at the next start only.
    pub at_next_start: Vec<&'static str>,
    /// The applications that stay as they were, or reject clients, because a plugin cannot be used.
    pub kept: Vec<Kept>,
}

impl Reconfiguration {
    /// The configuration that is in force now.
    pub fn config(&self) -> Arc<Config> {
        self.services.applications.config()
    }

    /// Puts another configuration in force: its settings for adaptors' clients, virtual hosts and applications count from now
    /// on, and no client is disconnected. An application with a plugin that cannot be used stays as it is.
    ///
    /// # Errors
    /// If a plugin that a virtual host gives to all its applications cannot be used. Nothing has changed then.
    pub fn reconfigure(&self, mut config: Config) -> Result<Reconfigured, LoadError> {
        let applications = &self.services.applications;
        let plugins = applications.plugins();
        let (prepared, kept) = plugins.prepare_or_close(&mut config, Some(&applications.config()))?;
        let mut at_next_start = needs_restart(&applications.config(), &config);
        if registry_needs_restart(plugins, &applications.config(), &config) {
            at_next_start.push("the registry");
        }
        plugins.add(&prepared);
        if let (Some(relay), Some(settings)) = (&self.services.relay, config.relay()) {
            relay.reconfigure(settings);
        }
        self.services.network.reconfigure(config.server.public_ip.clone());
        applications.reconfigure(config);
        plugins.keep(prepared);
        applications.open_at_start();
        Ok(Reconfigured { at_next_start, kept })
    }
}

/// Gives the registry its settings of the new configuration. Returns whether some of what has changed takes effect at the start only.
fn registry_needs_restart(plugins: &Plugins, old: &Config, new: &Config) -> bool {
    let (before, now) = (&old.server.registry, &new.server.registry);
    let elsewhere = before.plugin != now.plugin || before.lookup_timeout != now.lookup_timeout;
    let told = now.plugin.as_ref().filter(|_| before.plugin == now.plugin);
    // Files that the settings name may have changed even if the settings have not.
    match told.and_then(|path| plugins.reconfigure_registry(path, &now.config, &new.root)) {
        Some(Told::Now) => elsewhere,
        Some(Told::Failed(why)) => {
            tracing::error!(target: CONFIGURATION, "the registry keeps its earlier settings: {why}");
            elsewhere
        }
        Some(Told::AtNextStart) | None => before != now,
    }
}

/// The differences between two configurations that take effect at the start only.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let mut pending = Vec::new();
    let listens = |config: &Config| -> Vec<_> {
        config.all_adaptors().map(|adaptor| (adaptor.listen.clone(), adaptor.core_ports.clone())).collect()
    };
    if listens(old) != listens(new) {
        pending.push("the addresses to listen on");
    }
    let relays = |config: &Config| config.relay().map(|relay| relay.ports.clone());
    if relays(old) != relays(new) {
        pending.push("the ports of the relay");
    }
    let threads = |config: &Config| {
        let server = &config.server;
        (server.workers, server.script_threads, server.keying_threads)
    };
    if threads(old) != threads(new) {
        pending.push("the numbers of threads");
    }
    if old.server.busy_poll != new.server.busy_poll {
        pending.push("how long workers look for datagrams before they sleep");
    }
    let admin = |config: &Config| (config.server.admin.enable, config.server.admin.listen.clone());
    if admin(old) != admin(new) {
        pending.push("where the administration listens");
    }
    if old.server.limits != new.server.limits {
        pending.push("the limits of Server.xml");
    }
    if old.server.max_http_requests != new.server.max_http_requests {
        pending.push("the number of HTTP requests at a time");
    }
    if host_names(old) != host_names(new) {
        pending.push("the names of virtual hosts in endpoint discriminators");
    }
    let endpoint = |config: &Config| {
        let rtmfp = &config.default_adaptor.rtmfp;
        let limits = (rtmfp.dead_peer_timeout, rtmfp.send_buffer, rtmfp.max_datagram_size);
        (rtmfp.dh_groups.clone(), limits, rtmfp.forwarded_hello)
    };
    if endpoint(old) != endpoint(new) {
        pending.push(
            "the Diffie-Hellman groups, the timeout, the send buffer, the datagram size and the forwarding of RTMFP",
        );
    }
    pending
}
