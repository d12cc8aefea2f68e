//! The relay for peers that cannot reach each other: its ports and its bounds.

use std::time::Duration;

use super::keys::adaptor as keys;
use super::listen::{Listen, PortSet};
use super::ports::PortList;
use super::server::Server;
use super::view::View;

/// The ports where an application relays and the file names none.
const DEFAULT_PORTS: (u16, u16) = (19_400, 19_431);
/// The most ports: each is a socket for each address family.
const MAX_PORTS: usize = 256;

/// The relay of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Its ports; each has an address of each family, or of one. Two clients that are relayed to each other have one each.
    pub ports: Vec<Vec<Listen>>,
    /// Whether the file names the ports: then the server opens them whatever the applications' settings say, because scripts and plugins may want a
    /// relay.
    pub is_named: bool,
    /// The ports as the file has them.
    pub set: PortSet,
    /// The maximum number of pairs.
    pub max_pairs: usize,
    /// The maximum number of pairs of one client.
    pub max_pairs_per_client: usize,
    /// The maximum number of clients of pairs that are at one address.
    pub max_pairs_per_address: usize,
    /// The maximum rate of all pairs together, in bytes of UDP payload a second.
    pub bytes_per_second: u64,
    /// A pair ends if one of its clients is silent for this long.
    pub idle_timeout: Duration,
}

impl Relay {
    pub(super) fn read(
        view: &View<'_, keys::AdaptorXml>,
        server: &Server,
        with_public: impl FnOnce(PortList) -> PortSet,
    ) -> Self {
        let named = view.checked(&keys::RELAY_PORTS, |ports| match ports {
            Some(ports) if ports.count() < 2 => {
                Err("two ports are needed at least: one for each of two clients".into())
            }
            Some(ports) if ports.count() > MAX_PORTS => {
                Err(format!("{} ports; the relay has {MAX_PORTS} at most", ports.count()))
            }
            ports => Ok(ports),
        });
        let named = named.flatten();
        let is_named = named.is_some();
        let max_pairs = view.read(&keys::RELAY_MAX_PAIRS);
        if max_pairs == 0 {
            view.warning(&keys::RELAY_MAX_PAIRS, |path| {
                format!("{path}: with 0 no pair is ever relayed, whatever applications, scripts and plugins want")
            });
        }
        let set = with_public(named.unwrap_or_else(|| PortList::anywhere(DEFAULT_PORTS.0, DEFAULT_PORTS.1)));
        Self {
            ports: Listen::by_port(&set, server.networking_ipv6),
            is_named,
            set,
            max_pairs,
            max_pairs_per_client: view.read(&keys::RELAY_MAX_PAIRS_PER_CLIENT),
            max_pairs_per_address: view.read(&keys::RELAY_MAX_PAIRS_PER_ADDRESS),
            bytes_per_second: view.read(&keys::RELAY_MAX_BYTES).unwrap_or(u64::MAX),
            idle_timeout: view.read(&keys::RELAY_IDLE_TIMEOUT),
        }
    }
}
