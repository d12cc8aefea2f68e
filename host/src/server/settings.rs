//! The settings for the start of a server.

use std::net::SocketAddr;
use std::sync::Arc;

use introd_config::Config;
use introd_policy::registry::Registry;

use crate::record::Recorder;

/// The settings for the start of a server.
#[derive(Clone)]
pub struct ServerSettings {
    /// The configuration.
    pub config: Config,
    /// Addresses to listen on instead of the configured ones. Their clients come through the default adaptor.
    pub listen: Vec<SocketAddr>,
    /// Where the administration listens by TCP; nowhere if empty.
    pub admin: Vec<SocketAddr>,
    /// How many workers share the clients, 1 to 64, instead of what the configuration says.
    pub workers: Option<usize>,
    /// Whether another process may take the sessions over: then the sockets are kept for it.
    pub can_be_taken_over: bool,
    /// Records all traffic with its keys.
    pub recorder: Option<Recorder>,
    /// The registry that it shares with other servers: it publishes its peers there, and looks up the others' peers. Without one, peers are
    /// looked up in memory, in what its own scripts published.
    pub registry: Option<Arc<dyn Registry>>,
}

impl Default for ServerSettings {
    /// The built-in configuration, without an administration.
    fn default() -> Self {
        Self {
            config: Config::built_in(),
            listen: Vec::new(),
            admin: Vec::new(),
            workers: None,
            can_be_taken_over: false,
            recorder: None,
            registry: None,
        }
    }
}
