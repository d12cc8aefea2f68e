//! Hosts in network namespaces, on one "internet", some of them behind NATs.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::Value;

use crate::namespace::Namespace;
use crate::nats::Nat;

/// Where subnets have their addresses: they are reserved for tests of networks (RFC 2544).
const SUBNETS: &str = "198.18.0.0/15";

/// The public part of the internet: a switch. Its addresses are those reserved for documentation.
pub(crate) struct Internet {
    switch: Namespace,
    hosts: AtomicU8,
}

/// A host.
pub(crate) struct Host {
    namespace: Namespace,
    /// Its own IPv4 address, if it has one.
    pub(crate) v4: Option<Ipv4Addr>,
    /// Its own IPv6 address, if it has one.
    pub(crate) v6: Option<Ipv6Addr>,
    /// The NATs that it is behind, if it keeps them.
    routers: Vec<Router>,
    subnets: Vec<Subnet>,
}

/// A network of its own with public addresses, behind a router that is no NAT. Broadcasts and multicasts stay in it.
pub(crate) struct Subnet {
    router: Namespace,
    /// The first three bytes of its addresses.
    prefix: [u8; 3],
    hosts: AtomicU8,
}

/// A NAT, with a network behind it.
pub(crate) struct Router {
    namespace: Namespace,
    /// Its address on the outside.
    pub(crate) outside: Ipv4Addr,
    inside: [u8; 3],
    hosts: AtomicU8,
}

/// UDP packets that came to a port of a host from one address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub(crate) from: SocketAddr,
    /// The port of the host.
    pub(crate) at: u16,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

/// UDP packets of a host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packets {
    /// Sent to a multicast address.
    pub(crate) multicast_out: u64,
    /// Received at a multicast address, with a TTL or hop limit of 1.
    pub(crate) multicast_in: u64,
    /// The same with another one.
    pub(crate) multicast_from_afar: u64,
    /// Received at an address of the host.
    pub(crate) unicast_in: u64,
}

impl Internet {
    pub(crate) fn new() -> Self {
        let switch = Namespace::new("net");
        // No spanning tree, and no waiting for one.
        switch.ip("link add br0 type bridge stp_state 0 forward_delay 0\nlink set br0 up");
        Self { switch, hosts: AtomicU8::new(0) }
    }

    /// Drops all packets between hosts that are longer, headers included, without a word, from now on.
    pub(crate) fn drop_longer_than(&self, bytes: u16) {
        // An IPv6 header does not count its own 40 bytes.
        let six = bytes - 40;
        self.switch.nft(&format!(
            "table bridge narrow {{\ncounter dropped {{\n }}\n\
             chain pass {{\n type filter hook forward priority 0;\n\
             ip length > {bytes} counter name dropped drop\n\
             ip6 length > {six} counter name dropped drop\n }}\n}}\n"
        ));
    }

    /// How many packets [`Internet::drop_longer_than`] has dropped.
    pub(crate) fn dropped(&self) -> u64 {
        let listed = self.switch.run("nft", &["-j", "list", "counters", "table", "bridge", "narrow"], "");
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
        let mut counters = listed["nftables"].as_array().unwrap().iter().filter_map(|item| item.get("counter"));
        counters.next().unwrap()["packets"].as_u64().unwrap()
    }

    fn number(&self) -> u8 {
        self.hosts.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A host with public addresses.
    pub(crate) fn host(&self, name: &str) -> Host {
        let number = self.number();
        let namespace = Namespace::new(name);
        namespace.plug_into(&self.switch, number);
        let (v4, v6) = (Ipv4Addr::new(203, 0, 113, number), v6(number));
        namespace.ip(&format!("addr add {v4}/24 dev wan\naddr add {v6}/64 dev wan nodad\nlink set wan up"));
        // A server tells others the address that leads out.
        namespace.ip("route add default dev wan\nroute add ::/0 dev wan");
        Host::new(namespace, Some(v4), Some(v6))
    }

    /// A host with a public IPv6 address only.
    pub(crate) fn host_v6(&self, name: &str) -> Host {
        let number = self.number();
        let namespace = Namespace::new(name);
        namespace.plug_into(&self.switch, number);
        let v6 = v6(number);
        namespace.ip(&format!("addr add {v6}/64 dev wan nodad\nlink set wan up\nroute add ::/0 dev wan"));
        Host::new(namespace, None, Some(v6))
    }

    /// A network with public addresses, behind a router.
    pub(crate) fn subnet(&self, name: &str) -> Subnet {
        let number = self.number();
        let router = Namespace::new(name);
        router.plug_into(&self.switch, number);
        let outside = Ipv4Addr::new(203, 0, 113, number);
        let prefix = [198, 18, number];
        let [a, b, c] = prefix;
        router.ip(&format!(
            "addr add {outside}/24 dev wan\nlink set wan up\nroute add default dev wan\n\
             link add br0 type bridge stp_state 0 forward_delay 0\naddr add {a}.{b}.{c}.1/24 dev br0\nlink set br0 up"
        ));
        router.forward();
        // All hosts of the internet take its addresses for neighbours: the router answers for the hosts behind it.
        router.run("sysctl", &["-qw", "net.ipv4.conf.wan.proxy_arp=1"], "");
        Subnet { router, prefix, hosts: AtomicU8::new(1) }
    }

    /// A host with a public IPv4 address only.
    pub(crate) fn host_v4(&self, name: &str) -> Host {
        let number = self.number();
        let namespace = Namespace::new(name);
        namespace.plug_into(&self.switch, number);
        let v4 = Ipv4Addr::new(203, 0, 113, number);
        namespace.ip(&format!("addr add {v4}/24 dev wan\nlink set wan up"));
        Host::new(namespace, Some(v4), None)
    }

    /// A NAT with a public address.
    pub(crate) fn nat(&self, name: &str, kind: Nat) -> Router {
        let number = self.number();
        self.router(name, kind, number, [192, 168, number])
    }

    /// A carrier's NAT with a public address: the homes behind it have addresses that are shared by all carriers (RFC 6598).
    pub(crate) fn carrier(&self, name: &str, kind: Nat) -> Router {
        let number = self.number();
        self.router(name, kind, number, [100, 64, number])
    }

    fn router(&self, name: &str, kind: Nat, number: u8, inside: [u8; 3]) -> Router {
        let namespace = Namespace::new(name);
        namespace.plug_into(&self.switch, number);
        let outside = Ipv4Addr::new(203, 0, 113, number);
        namespace.ip(&format!("addr add {outside}/24 dev wan\nlink set wan up\nroute add {SUBNETS} dev wan"));
        Router::new(namespace, outside, inside, kind)
    }
}

fn v6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into())
}

impl Subnet {
    /// A host in the network.
    pub(crate) fn host(&self, name: &str) -> Host {
        let number = self.hosts.fetch_add(1, Ordering::Relaxed) + 1;
        let [a, b, c] = self.prefix;
        let (namespace, v4) = (Namespace::new(name), Ipv4Addr::new(a, b, c, number));
        namespace.plug_into(&self.router, number);
        namespace.ip(&format!("addr add {v4}/24 dev wan\nlink set wan up\nroute add default via {a}.{b}.{c}.1"));
        Host::new(namespace, Some(v4), None)
    }
}

impl Router {
    fn new(namespace: Namespace, outside: Ipv4Addr, inside: [u8; 3], kind: Nat) -> Self {
        let [a, b, c] = inside;
        namespace.ip(&format!(
            "link add br0 type bridge stp_state 0 forward_delay 0\naddr add {a}.{b}.{c}.1/24 dev br0\nlink set br0 up"
        ));
        namespace.forward();
        namespace.nft(&kind.rules(outside));
        Self { namespace, outside, inside, hosts: AtomicU8::new(1) }
    }

    fn number(&self) -> u8 {
        self.hosts.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Connects a namespace to the inside: its address there.
    fn plug(&self, namespace: &Namespace, number: u8) -> Ipv4Addr {
        let [a, b, c] = self.inside;
        namespace.plug_into(&self.namespace, number);
        let v4 = Ipv4Addr::new(a, b, c, number);
        namespace.ip(&format!("addr add {v4}/24 dev wan\nlink set wan up\nroute add default via {a}.{b}.{c}.1"));
        v4
    }

    /// A host behind it.
    pub(crate) fn host(&self, name: &str) -> Host {
        let namespace = Namespace::new(name);
        let v4 = self.plug(&namespace, self.number());
        Host::new(namespace, Some(v4), None)
    }

    /// A host behind it that is reached from the internet: at the public address by these UDP ports, which the NAT forwards, and at
    /// a public IPv6 address of its own.
    pub(crate) fn forwarded_host(&self, name: &str, ports: &str) -> Host {
        let namespace = Namespace::new(name);
        let number = self.number();
        let v4 = self.plug(&namespace, number);
        self.namespace.nft(&Nat::forwarding(ports, v4));
        let home = self.outside.octets()[3];
        let v6 = |host: u8| Ipv6Addr::new(0x2001, 0xdb8, 0, home.into(), 0, 0, 0, host.into());
        let (gateway, v6) = (v6(1), v6(number));
        namespace.ip(&format!("addr add {v6}/64 dev wan nodad\nroute add ::/0 via {gateway}"));
        // The hosts of the internet take all addresses for neighbours: the router answers for the host behind it.
        self.namespace.run("sysctl", &["-qw", "net.ipv6.conf.wan.proxy_ndp=1"], "");
        self.namespace.ip(&format!(
            "addr add {}/64 dev wan nodad\nroute add ::/0 dev wan\naddr add {gateway}/64 dev br0 nodad\nneigh add proxy {v6} dev wan",
            self::v6(home)
        ));
        Host::new(namespace, Some(v4), Some(v6))
    }

    /// Closes ports that are silent for so many seconds.
    pub(crate) fn forget_after(&self, seconds: u32) {
        let times =
            ["udp_timeout", "udp_timeout_stream"].map(|name| format!("net.netfilter.nf_conntrack_{name}={seconds}"));
        self.namespace.run("sysctl", &["-qw", &times[0], &times[1]], "");
    }

    /// The only host behind it, which keeps it.
    pub(crate) fn into_host(self, name: &str) -> Host {
        let host = self.host(name);
        host.behind(self)
    }

    /// Another NAT behind it.
    pub(crate) fn nat(&self, name: &str, kind: Nat) -> Router {
        let namespace = Namespace::new(name);
        let number = self.number();
        let outside = self.plug(&namespace, number);
        Router::new(namespace, outside, [10, self.inside[2], number], kind)
    }
}

impl Host {
    fn new(namespace: Namespace, v4: Option<Ipv4Addr>, v6: Option<Ipv6Addr>) -> Self {
        // Incoming packets are counted by their source and by the port that they come to.
        namespace.nft(
            "table inet seen {\n\
             set four {\n type ipv4_addr . inet_service . inet_service\n size 16384\n flags dynamic\n counter\n }\n\
             set six {\n type ipv6_addr . inet_service . inet_service\n size 16384\n flags dynamic\n counter\n }\n\
             chain in {\n type filter hook input priority -300;\n\
             meta nfproto ipv4 meta l4proto udp update @four { ip saddr . udp sport . udp dport }\n\
             meta nfproto ipv6 meta l4proto udp update @six { ip6 saddr . udp sport . udp dport }\n }\n}\n",
        );
        Self { namespace, v4, v6, routers: Vec::new(), subnets: Vec::new() }
    }

    /// Keeps a network for as long as the host exists.
    pub(crate) fn keep(&mut self, subnet: Subnet) {
        self.subnets.push(subnet);
    }

    /// Keeps a NAT for as long as the host exists.
    pub(crate) fn behind(mut self, router: Router) -> Self {
        self.routers.push(router);
        self
    }

    /// Its interface carries packets up to this length, headers included.
    pub(crate) fn set_mtu(&self, bytes: u16) {
        self.namespace.ip(&format!("link set wan mtu {bytes}"));
    }

    /// Takes its addresses and routes away, and its only interface down.
    pub(crate) fn lose_network(&self) {
        self.namespace.ip("addr flush dev wan\nlink set wan down");
    }

    /// Gives a host of the internet back its address and its route, which [`Self::lose_network`] has taken.
    pub(crate) fn regain_network(&self) {
        let v4 = self.v4.unwrap();
        self.namespace.ip(&format!("addr add {v4}/24 dev wan\nlink set wan up\nroute add default dev wan"));
    }

    /// A command that runs a program there.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.namespace.command(program)
    }

    /// Runs `work` in a thread of this program on the host: its sockets are the host's.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.namespace.inside(work)
    }

    /// Counts UDP packets by where they go, from now on: see [`Packets`].
    pub(crate) fn count_packets(&self) {
        let names = ["multicast_out", "multicast_in", "multicast_from_afar", "unicast_in"];
        let counters: String = names.map(|name| format!("counter {name} {{\n }}\n")).concat();
        self.namespace.nft(&format!(
            "table inet lan {{\n{counters}\
             chain in {{\n type filter hook input priority -200;\n\
             ip daddr 224.0.0.0/4 meta l4proto udp ip ttl 1 counter name multicast_in\n\
             ip daddr 224.0.0.0/4 meta l4proto udp ip ttl != 1 counter name multicast_from_afar\n\
             ip6 daddr ff00::/8 meta l4proto udp ip6 hoplimit 1 counter name multicast_in\n\
             ip6 daddr ff00::/8 meta l4proto udp ip6 hoplimit != 1 counter name multicast_from_afar\n\
             ip daddr != 224.0.0.0/4 meta l4proto udp counter name unicast_in\n\
             ip6 daddr != ff00::/8 meta l4proto udp counter name unicast_in\n }}\n\
             chain out {{\n type filter hook output priority -200;\n\
             ip daddr 224.0.0.0/4 meta l4proto udp counter name multicast_out\n\
             ip6 daddr ff00::/8 meta l4proto udp counter name multicast_out\n }}\n}}\n"
        ));
    }

    /// What [`Host::count_packets`] has counted.
    pub(crate) fn packets(&self) -> Packets {
        let listed = self.namespace.run("nft", &["-j", "list", "counters", "table", "inet", "lan"], "");
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
        let count = |name: &str| {
            let mut counters = listed["nftables"].as_array().unwrap().iter().filter_map(|item| item.get("counter"));
            counters.find(|counter| counter["name"] == name).unwrap()["packets"].as_u64().unwrap()
        };
        Packets {
            multicast_out: count("multicast_out"),
            multicast_in: count("multicast_in"),
            multicast_from_afar: count("multicast_from_afar"),
            unicast_in: count("unicast_in"),
        }
    }

    /// How many UDP packets and bytes came in from each address.
    pub(crate) fn received(&self) -> HashMap<IpAddr, (u64, u64)> {
        let mut seen: HashMap<IpAddr, (u64, u64)> = HashMap::new();
        for Received { from, packets, bytes, .. } in self.all_received() {
            let sum = seen.entry(from.ip()).or_default();
            *sum = (sum.0 + packets, sum.1 + bytes);
        }
        seen
    }

    /// The UDP packets that came in, by their source and by the port that they came to.
    pub(crate) fn all_received(&self) -> Vec<Received> {
        let mut seen = Vec::new();
        for set in ["four", "six"] {
            let listed = self.namespace.run("nft", &["-j", "list", "set", "inet", "seen", set], "");
            let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
            let sets = listed["nftables"].as_array().unwrap().iter();
            for element in sets.filter_map(|item| item["set"]["elem"].as_array()).flatten() {
                let element = &element["elem"];
                let count = |what: &str| element["counter"][what].as_u64().unwrap();
                let part = |place: usize| &element["val"]["concat"][place];
                let port = |place: usize| u16::try_from(part(place).as_u64().unwrap()).unwrap();
                let from = SocketAddr::new(part(0).as_str().unwrap().parse().unwrap(), port(1));
                seen.push(Received { from, at: port(2), packets: count("packets"), bytes: count("bytes") });
            }
        }
        seen
    }
}
