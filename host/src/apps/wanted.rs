//! The request for an instance, made when a client connects or an instance is opened at the start.

use std::sync::Arc;

use introd_config::{Application, Registered, Vhost};
use introd_policy::{FormerInstance, InstanceName};
use rtmfp::NetworkPrefix;

/// An instance that is wanted.
pub(super) struct Wanted<'a> {
    pub(super) name: InstanceName,
    pub(super) settings: Arc<Application>,
    /// Its application, if that has a folder.
    pub(super) registered: Option<&'a Registered>,
    pub(super) limits: VhostLimits,
    /// The clients that another process had there, if it is to go on with them.
    pub(super) taken_over: Option<FormerInstance>,
    /// The network of the client that wants it; `None` if it is wanted without a client.
    pub(super) maker: Option<NetworkPrefix>,
}

/// The limits of a virtual host.
#[derive(Clone, Copy)]
pub(super) struct VhostLimits {
    pub(super) connections: Option<u64>,
    pub(super) instances: Option<u64>,
    /// The limit on instances with a script that clients of one network have created.
    pub(super) instances_per_address: Option<u64>,
}

impl VhostLimits {
    /// No limits.
    pub(super) const NONE: Self = Self { connections: None, instances: None, instances_per_address: None };

    pub(super) fn of(vhost: &Vhost) -> Self {
        Self {
            connections: vhost.max_connections,
            instances: vhost.max_app_instances,
            instances_per_address: vhost.max_app_instances_per_address,
        }
    }
}
