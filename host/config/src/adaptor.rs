//! Adaptor.xml: where to listen, and how RTMFP behaves there.

use super::access::Access;
use super::key::{Key, Scope};
use super::keys::adaptor as keys;
use super::listen::{Listen, PortSet};
use super::ports::{OptionalPorts, PortList};
use super::problem::Place;
use super::relay::Relay;
use super::rtmfp::Rtmfp;
use super::server::Server;
use super::vhost::Vhost;
use super::view::View;

/// The most ports of one adaptor: each is a socket for each worker.
const MAX_LISTENING: usize = 64;

/// Some addresses to listen at, and the virtual hosts behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adaptor {
    /// The name: that of its folder.
    pub name: String,
    /// Where it listens for RTMFP, by UDP; nowhere if RTMFP is off.
    pub listen: Vec<Listen>,
    /// Sets of further ports, from each of which each worker takes one.
    pub core_ports: Vec<PortSet>,
    /// RTMFP itself.
    pub rtmfp: Rtmfp,
    /// The relay for peers that cannot reach each other; that of the default adaptor holds.
    pub relay: Relay,
    /// The addresses that may connect.
    pub access: Access,
    /// The virtual host for every name that no other has.
    pub default_vhost: Vhost,
    /// The others.
    pub vhosts: Vec<Vhost>,
}

impl Adaptor {
    /// Reads the file. Returns each address to listen at with the place where it stands, too.
    pub(super) fn read(
        name: &str,
        view: &View<'_, keys::AdaptorXml>,
        server: &Server,
        default_vhost: Vhost,
        vhosts: Vec<Vhost>,
    ) -> (Self, Vec<(Listen, Option<Place>)>) {
        let mut host_ports = view.each::<keys::HostPort>();
        if host_ports.is_empty() {
            host_ports.push(view.absent());
        }
        let is_enabled = view.read(&keys::ENABLE);
        if let Some((text, _)) = view.find(&keys::ENABLE).filter(|_| !is_enabled)
            && !text.eq_ignore_ascii_case("false")
        {
            view.warning(&keys::ENABLE, |path| format!("{path}: only `true` turns RTMFP on; it is off"));
        }
        let mut places: Vec<_> = host_ports.iter().flat_map(|view| read_host_port(view, server)).collect();
        if !is_enabled {
            places.clear();
        }
        let core_ports = view.each::<keys::CoreHostPort>().iter().filter_map(read_core_ports).collect();
        let (allow, deny) = (view.read(&keys::ALLOW), view.read(&keys::DENY));
        let access = Access::new(allow, deny, view.read(&keys::ADAPTOR_ORDER));
        access.warn_of_empty_allow(view, &keys::ALLOW);
        let adaptor = Self {
            name: name.into(),
            listen: places.iter().map(|(listen, _)| *listen).collect(),
            core_ports,
            rtmfp: Rtmfp::read(view),
            relay: Relay::read(view, server, |local| with_public(view, &keys::RELAY_PORTS_PUBLIC, local)),
            access,
            default_vhost,
            vhosts,
        };
        (adaptor, places)
    }

    /// All virtual hosts, the default one first.
    pub fn all_vhosts(&self) -> impl Iterator<Item = &Vhost> {
        std::iter::once(&self.default_vhost).chain(&self.vhosts)
    }

    /// The virtual host that a client means by the host of its tcUrl, or by the host name in its endpoint discriminator
    /// (RFC 7425 §4.4.2.1).
    pub fn vhost(&self, host: &str) -> &Vhost {
        let host = host.trim_end_matches('.');
        self.vhosts.iter().find(|vhost| vhost.is_called(host)).unwrap_or(&self.default_vhost)
    }
}

/// The addresses to listen at that an element names, and where they stand.
fn read_host_port(view: &View<'_, keys::HostPort>, server: &Server) -> Vec<(Listen, Option<Place>)> {
    let text = view.read(&keys::HOST_PORT);
    let rtmfp = view.read(&keys::HOST_PORT_RTMFP);
    let found = view.find(&keys::HOST_PORT_RTMFP);
    let place = found.or_else(|| view.find(&keys::HOST_PORT)).map(|(_, place)| place.clone());
    if let Some(ports) = text.tls_ports() {
        view.warning(&keys::HOST_PORT, |path| {
            format!("{path}: the server does not listen at {ports}: a minus sign stands for TLS, and RTMFP encrypts by itself")
        });
    }
    let local = rtmfp.unwrap_or(text);
    if local.count() > MAX_LISTENING {
        let count = local.count();
        let message = |path: &str| format!("{path}: {count} ports; an adaptor listens at {MAX_LISTENING} at most");
        match found {
            Some(_) => view.problem(&keys::HOST_PORT_RTMFP, message),
            None => view.problem(&keys::HOST_PORT, message),
        }
        return Vec::new();
    }
    let set = with_public(view, &keys::HOST_PORT_PUBLIC, local);
    let place = place.or_else(|| view.place());
    let all = Listen::all(&set, server.networking_ipv6);
    all.into_iter().map(|listen| (listen, place.clone())).collect()
}

fn read_core_ports(view: &View<'_, keys::CoreHostPort>) -> Option<PortSet> {
    let list = view.read(&keys::CORE_HOST_PORT);
    if list.is_none() {
        view.problem(&keys::CORE_HOST_PORT_PUBLIC, |path| {
            format!("{path}: there are no ports that it could stand for")
        });
    }
    Some(with_public(view, &keys::CORE_HOST_PORT_PUBLIC, list?))
}

/// A set with its public counterpart, if that has as many ports and each a host.
fn with_public<S: Scope>(view: &View<'_, S>, key: &Key<S, OptionalPorts>, local: PortList) -> PortSet {
    let public = view.checked(key, |public| {
        let Some(public) = public else { return Ok(None) };
        if let Some(host) = public.vague_host() {
            return Err(match host {
                Some(host) => format!("{host} is nothing that others could reach"),
                None => "others need a host to reach it by".into(),
            });
        }
        if public.has_zero() {
            return Err("port 0 is nothing that others could reach".into());
        }
        if public.count() != local.count() {
            return Err(format!(
                "{} public for {} local ones; the nth stands for the nth",
                public.count(),
                local.count()
            ));
        }
        Ok(Some(public))
    });
    PortSet { public: public.flatten(), local }
}
