//! The access rules of the adaptor and the virtual host that an instance belongs to.

use std::net::IpAddr;
use std::sync::Arc;

use introd_config::{Access, Adaptor, Config, Vhost};
use introd_policy::InstanceName;

/// Denies addresses an instance, both as its clients and as askers for its clients.
pub(super) struct Door {
    config: Arc<Config>,
    /// The adaptor's position in the configuration.
    adaptor: usize,
    /// The virtual host's position in the adaptor.
    vhost: usize,
}

impl Door {
    /// The rules for an instance; `None` if they permit every address.
    pub(super) fn of(config: &Arc<Config>, name: &InstanceName) -> Option<Self> {
        // If the configuration no longer has the adaptor or the virtual host, the default one counts, as it does for settings.
        let adaptor = config.all_adaptors().position(|adaptor| adaptor.name == name.adaptor).unwrap_or(0);
        let vhosts = || adaptor_at(config, adaptor).all_vhosts();
        let vhost = vhosts().position(|vhost| vhost.name == name.vhost).unwrap_or(0);
        let door = Self { config: Arc::clone(config), adaptor, vhost };
        let permits_all = door.rules().into_iter().all(Access::permits_all);
        (!permits_all).then_some(door)
    }

    pub(super) fn permits(&self, ip: IpAddr) -> bool {
        self.rules().into_iter().all(|access| access.permits(ip))
    }

    fn rules(&self) -> [&Access; 2] {
        let adaptor = adaptor_at(&self.config, self.adaptor);
        let vhost: &Vhost = adaptor.all_vhosts().nth(self.vhost).unwrap_or(&adaptor.default_vhost);
        [&adaptor.access, &vhost.access]
    }
}

/// The adaptor at that position in the configuration; the default one if there is none.
pub(super) fn adaptor_at(config: &Config, position: usize) -> &Adaptor {
    config.all_adaptors().nth(position).unwrap_or(&config.default_adaptor)
}
