//! The network of tests: the NetConnections and NetGroups of several made-up servers meet in it, by endpoint names, addresses and groupspecs.
//!
//! It has virtual time and no randomness. Members of a group link to each other as soon as they know each other, and tell each other of the
//! others they know: so a group of some servers becomes a full mesh. That differs from large groups on a server, where each member has
//! some neighbours. `ground.rs` says how long things take.

mod events;
mod ground;
mod membership;
mod world;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use introd_config::Application;
use introd_policy::InstanceName;
use introd_policy::net_connection::{
    CommandRefused, ConnectionCommand, ConnectionEvents, ConnectionOptions, GroupFacts, GroupId, NetConnection,
    NetConnections, OpenError,
};

use self::ground::EndpointId;
use self::world::World;

/// The network. Clones lead to the same one.
#[derive(Clone)]
pub(crate) struct Network(Arc<Mutex<World>>);

impl Network {
    pub(crate) fn new(now: Instant) -> Self {
        Self(Arc::new(Mutex::new(World::new(now))))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the connections of a server.
    pub(crate) fn opener(&self, server: &str) -> Arc<dyn NetConnections> {
        Arc::new(Opener { network: self.clone(), server: server.to_owned() })
    }

    /// When something happens next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.world().next()
    }

    /// Lets everything happen that is due.
    pub(crate) fn run(&self, now: Instant) {
        self.world().run(now);
    }

    /// A server dies: its connections are not closed but fall silent.
    pub(crate) fn crash(&self, server: &str) {
        self.world().crash(server);
    }

    /// Cuts these servers off from all others.
    pub(crate) fn cut(&self, servers: Vec<String>) {
        self.world().cut(servers);
    }

    /// All servers reach each other again.
    pub(crate) fn heal(&self) {
        self.world().heal();
    }
}

/// Opens the connections of one server.
struct Opener {
    network: Network,
    server: String,
}

impl NetConnections for Opener {
    fn open(
        &self,
        _: &InstanceName,
        _: &Arc<Application>,
        options: ConnectionOptions,
        events: Arc<dyn ConnectionEvents>,
    ) -> Result<Box<dyn NetConnection>, OpenError> {
        let bind: Result<Vec<_>, _> = options.bind_addresses.iter().map(|text| bind_address(text)).collect();
        if !options.uri.starts_with("rtmfp:") {
            return Err(OpenError::Options(format!(
                "the URI of a NetConnection begins with rtmfp:, not {:?}",
                options.uri
            )));
        }
        let is_serverless = matches!(&*options.uri, "rtmfp:" | "rtmfp://");
        let endpoint = self.network.world().open(&self.server, options.endpoint_name, &bind?, is_serverless, events)?;
        Ok(Box::new(Connection { network: self.network.clone(), endpoint }))
    }
}

/// An address to bind, whose port may be left to the system.
fn bind_address(text: &str) -> Result<SocketAddr, OpenError> {
    let plain = text.trim_start_matches('[').trim_end_matches(']');
    let address = text.parse().or_else(|_| plain.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0)));
    address.map_err(|_| OpenError::Options(format!("rtmfpBindAddresses has {text:?}, which is no IP address")))
}

struct Connection {
    network: Network,
    endpoint: EndpointId,
}

impl NetConnection for Connection {
    fn send(&self, command: ConnectionCommand) -> Result<(), CommandRefused> {
        self.network.world().command(self.endpoint, command)
    }

    fn group(&self, group: GroupId) -> Option<GroupFacts> {
        self.network.world().facts(self.endpoint, group)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.network.world().close(self.endpoint);
    }
}
