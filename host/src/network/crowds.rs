//! Notices that something in front of the server shows it many clients at one address.
//!
//! A proxy, or a container network that does not keep source addresses, sends every client's packets on from an address of its own. Such
//! clients connect, and cannot be introduced: nobody reaches them at that address. Clients behind one NAT, at a LAN party or in a school,
//! are innocent of that, and look similar: they share an address, too, and report others. What tells them apart:
//!
//! - The address of a NAT in front of clients is public, or stands in another network than the server. The address of a proxy or of a
//!   container network's gateway is the server's own machine, or a neighbour of it: it is in the network of one of its interfaces.
//! - Clients that are in the server's own network, and come back to it by the public address, report addresses of that network.
//! - Clients behind one NAT report addresses of one network, or of few. Clients from all over the internet report those of many homes.
//!
//! Only clients at addresses that are not public are counted. A change costs one probe of a table, whatever the number of clients, and only
//! addresses with many clients are looked at.

mod networks;

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use parking_lot::Mutex;

use self::networks::Networks;
use super::standing::Standing;
use crate::introducer::site::is_outside;

/// So many clients that report other addresses are a crowd.
pub(super) const MIN_CROWD: usize = 20;
/// A crowd that was noticed is one until fewer are left: it does not come and go with each client.
const MIN_LEFT: usize = MIN_CROWD / 2;
/// They report addresses of at least so many networks.
const MIN_NETWORKS: usize = 4;
/// Crowds that are told of at a time.
const MAX_NOTICED: usize = 16;

/// A client as it counts at the address where it is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Where the client is seen.
    ip: IpAddr,
    /// The network of an address that it reports, if nothing explains why it is seen elsewhere.
    network: Option<Network>,
}

/// The first bits of an address: those of a home or an office.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Network {
    V4([u8; 3]),
    V6([u8; 6]),
}

impl Sighting {
    /// A client that is seen at `observed` and has reported these addresses. `None` if it does not count: it has reported nothing, or its
    /// address is public.
    pub fn of(observed: SocketAddr, reported: &[SocketAddr], standing: &Standing) -> Option<Self> {
        let ip = observed.ip().to_canonical();
        if is_outside(ip) {
            return None;
        }
        let mut network = None;
        for address in reported.iter().map(|address| address.ip().to_canonical()) {
            let is_neighbour = standing.interfaces.iter().any(|interface| interface.contains(&address));
            if address == ip || is_neighbour {
                return Some(Self { ip, network: None });
            }
            network = network.or_else(|| Network::of(address));
        }
        Some(Self { ip, network: Some(network?) })
    }
}

impl Network {
    fn of(ip: IpAddr) -> Option<Self> {
        if ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() {
            return None;
        }
        match ip {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Some(Self::V4([a, b, c]))
            }
            IpAddr::V6(ip) if ip.is_unicast_link_local() => None,
            IpAddr::V6(ip) => Some(Self::V6(*ip.octets().first_chunk()?)),
        }
    }
}

/// The clients at one address.
#[derive(Debug, Default)]
struct Crowd {
    /// Those that report the address, or are neighbours of the server.
    explained: u32,
    /// The others.
    hidden: u32,
    /// The networks of their addresses.
    networks: Networks,
    is_noticed: bool,
}

impl Crowd {
    /// How many clients report other addresses.
    fn hidden(&self) -> usize {
        self.hidden as usize
    }

    /// Whether it is to be told of.
    fn is_hidden(&self, ip: IpAddr, standing: &Standing) -> bool {
        let least = if self.is_noticed { MIN_LEFT } else { MIN_CROWD };
        let is_near = ip.is_loopback() || standing.interfaces.iter().any(|interface| interface.contains(&ip));
        is_near && self.hidden() >= least && self.hidden >= self.explained && self.networks.len() >= MIN_NETWORKS
    }
}

/// A crowd that was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noticed {
    /// The address at which the clients are seen.
    pub ip: IpAddr,
    /// How many of them report other addresses.
    pub clients: usize,
}

/// The clients that are seen at addresses which are not public, by address.
#[derive(Debug, Default)]
pub struct Crowds(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    crowds: HashMap<IpAddr, Crowd>,
    /// The addresses with enough clients to be looked at, and those that were noticed.
    large: BTreeSet<IpAddr>,
}

impl Crowds {
    /// Counts a client.
    pub fn add(&self, Sighting { ip, network }: Sighting) {
        let Table { crowds, large } = &mut *self.0.lock();
        let crowd = crowds.entry(ip).or_default();
        match network {
            None => crowd.explained = crowd.explained.saturating_add(1),
            Some(network) => {
                crowd.hidden = crowd.hidden.saturating_add(1);
                crowd.networks.add(network);
            }
        }
        if crowd.hidden() >= MIN_CROWD {
            large.insert(ip);
        }
    }

    /// Counts a client no more that [`Self::add`] has counted.
    pub fn remove(&self, Sighting { ip, network }: Sighting) {
        let Table { crowds, large } = &mut *self.0.lock();
        let Entry::Occupied(mut entry) = crowds.entry(ip) else { return };
        let crowd = entry.get_mut();
        match network {
            None => crowd.explained = crowd.explained.saturating_sub(1),
            Some(network) => {
                crowd.hidden = crowd.hidden.saturating_sub(1);
                crowd.networks.remove(network);
            }
        }
        // One that was noticed is forgotten when its end is told.
        if crowd.is_noticed {
            return;
        }
        if crowd.hidden() < MIN_LEFT {
            large.remove(&ip);
        }
        if crowd.explained == 0 && crowd.hidden == 0 {
            entry.remove();
            if crowds.capacity() > 8 * crowds.len() + 1024 {
                crowds.shrink_to(2 * crowds.len());
            }
        }
    }

    /// Looks at the large crowds, and returns those that are new and those that have dispersed.
    pub fn judge(&self, standing: &Standing) -> (Vec<Noticed>, Vec<Noticed>) {
        let (mut new, mut gone) = (Vec::new(), Vec::new());
        let Table { crowds, large } = &mut *self.0.lock();
        let noticed = large.iter().filter(|ip| crowds.get(*ip).is_some_and(|crowd| crowd.is_noticed)).count();
        let mut room = MAX_NOTICED.saturating_sub(noticed);
        large.retain(|ip| {
            let Some(crowd) = crowds.get_mut(ip) else { return false };
            let is_hidden = crowd.is_hidden(*ip, standing);
            let noticed = Noticed { ip: *ip, clients: crowd.hidden() };
            if is_hidden && !crowd.is_noticed && room > 0 {
                room -= 1;
                crowd.is_noticed = true;
                new.push(noticed);
            } else if !is_hidden && crowd.is_noticed {
                crowd.is_noticed = false;
                gone.push(noticed);
            }
            if crowd.explained == 0 && crowd.hidden == 0 {
                crowds.remove(ip);
                return false;
            }
            crowd.is_noticed || crowd.hidden() >= MIN_LEFT
        });
        (new, gone)
    }

    /// The crowds that were noticed and are still there, in the order of their addresses.
    pub fn noticed(&self) -> Vec<Noticed> {
        let Table { crowds, large } = &*self.0.lock();
        let noticed = large.iter().filter_map(|ip| Some((ip, crowds.get(ip).filter(|crowd| crowd.is_noticed)?)));
        noticed.map(|(ip, crowd)| Noticed { ip: *ip, clients: crowd.hidden() }).collect()
    }
}

#[cfg(test)]
mod tests;
