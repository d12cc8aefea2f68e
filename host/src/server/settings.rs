//! The settings for the start of a server.

use std::net::SocketAddr;
use std::sync::Arc;

use introd_config::Config;
use introd_policy::registry::Registry;

use crate::record::Recorder;
use crate::service_manager::PassedSockets;

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
    /// Sockets that are bound already. Each must have one of the addresses at which the server or its administration listens. The server
    /// keeps none of them open that it does not use.
    pub passed: PassedSockets,
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
            passed: PassedSockets::default(),
            recorder: None,
            registry: None,
        }
    }
}
