//! The internet of the matrix: two servers, and for each kind of peer one that asks and one that is looked for.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use introd_tests::program::{Files, Peer, Server};

use super::kinds::Kind;
use crate::hosts::{Host, Internet, Router};
use crate::nats::Nat;
use crate::programs::{peer, server};

/// The servers' own port, and those at which they relay.
const PORTS: [std::ops::RangeInclusive<u16>; 2] = [1935..=1935, 19400..=19431];
/// The same for the NAT that forwards them.
const FORWARDED: &str = "{ 1935, 19400-19431 }";

/// A host with the addresses at which others see what it sends.
pub(super) struct Place {
    pub(super) host: Host,
    pub(super) seen_at: Vec<IpAddr>,
}

/// A server on its host.
pub(super) struct Site {
    host: Host,
    server: Server,
    _files: Files,
    /// The addresses at which peers reach it.
    addresses: Vec<IpAddr>,
}

pub(super) struct World {
    pub(super) askers: BTreeMap<Kind, Place>,
    pub(super) targets: BTreeMap<Kind, Place>,
    open: Site,
    /// The server in a home. The peers beside it are its clients, and so are all that want to meet these.
    home: Site,
    home_router: Router,
    _routers: Vec<Router>,
    _net: Internet,
}

impl World {
    pub(super) fn new() -> Self {
        let net = Internet::new();
        let open = net.host("server");
        let addresses = vec![open.v4.unwrap().into(), open.v6.unwrap().into()];
        let open = Site::start(open, addresses, "");
        let home_router = net.nat("home", Nat::PortRestricted);
        let home = home_router.forwarded_host("server", FORWARDED);
        let outside = home_router.outside;
        let addresses = vec![outside.into(), home.v4.unwrap().into(), home.v6.unwrap().into()];
        let home = Site::start(home, addresses, &format!("<PublicIP>{outside}</PublicIP>"));
        let mut routers = Vec::new();
        let mut places = |role: &str, carrier: &Router| {
            Kind::ALL.map(|kind| (kind, place(&net, kind, role, carrier, &home_router, &mut routers))).into()
        };
        let carrier = net.carrier("carrier", Nat::PortRestricted);
        let (askers, targets) = (places("asker", &carrier), places("target", &carrier));
        routers.push(carrier);
        Self { askers, targets, open, home, home_router, _routers: routers, _net: net }
    }

    /// The server of two peers.
    fn site(&self, one: Kind, other: Kind) -> &Site {
        if [one, other].contains(&Kind::BesideServer) { &self.home } else { &self.open }
    }

    /// What a peer connects to, to meet one of that other kind.
    pub(super) fn uri(&self, own: Kind, other: Kind) -> String {
        let site = self.site(own, other);
        let v4 = match own {
            Kind::BesideServer => site.host.v4.unwrap(),
            _ if other == Kind::BesideServer => self.home_router.outside,
            _ => site.host.v4.unwrap(),
        };
        match own {
            Kind::Ipv6Only => format!("rtmfp://[{}]/app", site.host.v6.unwrap()),
            _ => format!("rtmfp://{v4}/app"),
        }
    }

    /// Starts the target of a kind, for askers of the other one.
    pub(super) fn target(&self, kind: Kind, asker: Kind) -> Peer {
        peer(&self.targets[&kind].host, &self.uri(kind, asker))
    }

    /// Whether that is an address of the server of two peers at which it relays; `None` if it is none of the server's.
    pub(super) fn relays(&self, one: Kind, other: Kind, from: SocketAddr) -> Option<bool> {
        let [own, relay] = PORTS.map(|ports| ports.contains(&from.port()));
        (self.site(one, other).addresses.contains(&from.ip()) && (own || relay)).then_some(relay)
    }

    /// Stops the servers in an orderly way.
    pub(super) fn stop(self) {
        for site in [self.open, self.home] {
            assert_eq!(site.server.stop().code, Some(0));
        }
    }
}

impl Site {
    fn start(host: Host, addresses: Vec<IpAddr>, settings: &str) -> Self {
        let files = Files::new();
        files.server(settings);
        files.application("<RTMFP><Relay mode=\"Fallback\"/></RTMFP>");
        let conf = files.path().to_string_lossy();
        let server = server(&host, &["--conf", &conf, "--listen", "0.0.0.0:1935", "--listen", "[::]:1935"]);
        Self { host, server, _files: files, addresses }
    }
}

/// A host where peers of that kind are.
fn place(net: &Internet, kind: Kind, role: &str, carrier: &Router, home: &Router, routers: &mut Vec<Router>) -> Place {
    let public = |host: Host| {
        let seen_at = [host.v4.map(IpAddr::from), host.v6.map(IpAddr::from)].into_iter().flatten().collect();
        Place { host, seen_at }
    };
    let mut behind = |router: Router, outside: IpAddr| {
        let host = router.host(role);
        routers.push(router);
        Place { host, seen_at: vec![outside] }
    };
    let mut behind_one = |nat| {
        let router = net.nat("nat", nat);
        let outside = router.outside.into();
        behind(router, outside)
    };
    match kind {
        Kind::Open => public(net.host(role)),
        Kind::Ipv4Only => public(net.host_v4(role)),
        Kind::Ipv6Only => public(net.host_v6(role)),
        Kind::FullCone => behind_one(Nat::FullCone),
        Kind::AddressRestricted => behind_one(Nat::AddressRestricted),
        Kind::PortRestricted => behind_one(Nat::PortRestricted),
        Kind::Symmetric => behind_one(Nat::Symmetric),
        Kind::Double => {
            let outer = net.nat("outer", Nat::PortRestricted);
            let (inner, outside) = (outer.nat("inner", Nat::PortRestricted), outer.outside);
            routers.push(outer);
            let host = inner.host(role);
            routers.push(inner);
            Place { host, seen_at: vec![outside.into()] }
        }
        Kind::Carrier => behind(carrier.nat("nat", Nat::PortRestricted), carrier.outside.into()),
        Kind::BesideServer => {
            let host = home.host(role);
            let seen_at = vec![home.outside.into(), host.v4.unwrap().into()];
            Place { host, seen_at }
        }
    }
}
