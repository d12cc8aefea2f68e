//! Adaptor.xml: where to listen, and how RTMFP behaves there.

use std::net::IpAddr;
use std::time::Duration;

use super::access::Access;
use super::duration::Unit;
use super::ports::{Listen, PortList, PortSet};
use super::problem::Place;
use super::schema::{Entry, Kind, Schema, ams, ours};
use super::server::{ALLOW, ORDER, Server};
use super::vhost::Vhost;
use super::view::View;

/// The most ports of one adaptor: each is a socket for each worker.
const MOST_LISTENING: usize = 64;

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
    /// Who may connect.
    pub access: Access,
    /// The virtual host for every name that no other has.
    pub default_vhost: Vhost,
    /// The others.
    pub vhosts: Vec<Vhost>,
}

/// How RTMFP behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rtmfp {
    /// How often the statistics of flows are refreshed.
    pub update_stats_interval: Duration,
    /// What clients without a NAT are told about keepalives.
    pub keepalive_no_nat: KeepAlive,
    /// What clients behind a NAT are told about keepalives.
    pub keepalive_nat: KeepAlive,
    /// How the server answers a hello that was forwarded to it.
    pub forwarded_hello: ForwardedHello,
    /// The most bytes that wait in the send buffer of a flow.
    pub send_buffer: usize,
    /// The oldest unsent message that a flow keeps; `None` is any age.
    pub unsent_age: Option<Duration>,
    /// The Diffie-Hellman groups offered, by their numbers in RFC 2409 and RFC 3526 (RFC 7425 §4.2).
    pub dh_groups: Vec<u64>,
    /// A session silent for so long is dead.
    pub dead_peer_timeout: Duration,
}

/// After how much silence a client sends a keepalive (RFC 7425 §5.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// To the server.
    pub server: Duration,
    /// To its peers.
    pub peers: Duration,
}

/// What to do with a hello that was forwarded to the server (RFC 7016 §3.5.1.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedHello {
    /// Answer it as if it had come directly.
    RespondHello,
    /// Answer with a redirect.
    Redirect,
    /// Ignore it.
    Ignore,
}

pub(super) static SCHEMA: Schema = Schema {
    file: "Adaptor.xml",
    root: "Adaptor",
    entries: ENTRIES,
    unsupported: &[
        "ResourceLimits",
        "HostPortList/HostPort*@name",
        "HostPortList/HostPort*@ctl_channel",
        "HTTPTunnel",
        "SSL",
        "HTTPIdent",
        "HTTPIdent2",
        "HTTPNull",
        "HTTPUserInfo",
        "EnableAltVhost",
        "RTMP",
    ],
    renamed: &[],
    everywhere: &[],
};

const KEEPALIVE: Kind = Kind::Time { unit: Unit::Seconds, least: 5, most: 300 };

/// Why some values count in one adaptor alone.
const ALL_ADAPTORS: &str = "that of `_defaultRoot_` holds for all adaptors";

const ENTRIES: &[Entry] = &[
    ams(
        "HostPortList/HostPort*",
        Kind::Ports,
        ":1935",
        "Where to listen: `host:port,port`. No host: at every address. No port: 1935. Port 0: one that the system chooses. The same ports are listened at by UDP, unless `rtmfp` says otherwise; nothing is listened at by TCP",
    ),
    ams("HostPortList/HostPort*@rtmfp", Kind::Ports, "", "The UDP ports, if they are not those of the element"),
    ours(
        "HostPortList/HostPort*@public",
        Kind::Ports,
        "",
        "What others reach them by, behind a NAT or in a container: as many ports, the nth for the nth",
    ),
    ams("RTMFP@enable", Kind::Flag, "true", "Whether the adaptor listens for RTMFP"),
    ams(
        "RTMFP/UpdateStatsInterval",
        Kind::Time { unit: Unit::Seconds, least: 1, most: 3600 },
        "5",
        "How often the statistics are refreshed, in seconds",
    )
    .without_effect("what is counted is up to date at any time"),
    ams(
        "RTMFP/KeepAliveTime/NoNAT/Server",
        KEEPALIVE,
        "20",
        "After how many silent seconds a client without a NAT sends the server a keepalive",
    ),
    ams("RTMFP/KeepAliveTime/NoNAT/Peers", KEEPALIVE, "20", "The same, to its peers"),
    ams(
        "RTMFP/KeepAliveTime/NAT/Server",
        KEEPALIVE,
        "15",
        "After how many silent seconds a client behind a NAT sends the server a keepalive",
    ),
    ams("RTMFP/KeepAliveTime/NAT/Peers", KEEPALIVE, "10", "The same, to its peers"),
    ams(
        "RTMFP/ForwardIHelloMode",
        Kind::Word(&["rhello", "redirect", "ignore"]),
        "rhello",
        "What the server does with a hello that another server forwards to it, on a session that it opened there: answer it, answer with a redirect, or ignore it. What clients forward is always ignored",
    )
    .of_default_only(ALL_ADAPTORS),
    ams(
        "RTMFP/FlowSendMaxBufferSize",
        Kind::Whole { least: 130_048, most: 1 << 30 },
        "2097152",
        "The most bytes that wait in the send buffer of a flow",
    )
    .of_default_only(ALL_ADAPTORS),
    ams(
        "RTMFP/FlowSendMaxUnsentAge",
        Kind::Time { unit: Unit::Seconds, least: 0, most: 3600 },
        "0",
        "The age, in seconds, at which an unsent message is dropped. 0: never",
    )
    .of_default_only(ALL_ADAPTORS),
    ams(
        "RTMFP/Core/HostPortList/HostPort*",
        Kind::Ports,
        "",
        "Further UDP ports, `host:port-port,port;...`: each worker takes one from each such set. None: the workers share the ports that the adaptor listens at",
    ),
    ams(
        "RTMFP/Core/HostPortList/HostPort*@public",
        Kind::Ports,
        "",
        "What others reach them by: as many ports, the nth for the nth",
    ),
    ours(
        "RTMFP/DiffieHellmanGroups",
        Kind::Numbers(&[2, 5, 14, 16]),
        "2,5,14",
        "The groups that handshakes may use (RFC 7425 §4.2). 16 costs several milliseconds each",
    )
    .of_default_only(ALL_ADAPTORS),
    ours(
        "RTMFP/DeadPeerTimeout",
        Kind::Time { unit: Unit::Seconds, least: 20, most: 3600 },
        "120",
        "A client silent for so many seconds is gone",
    )
    .of_default_only(ALL_ADAPTORS),
    ams("Allow", Kind::Hosts, "", ALLOW),
    ams("Deny", Kind::Hosts, "", "Who may not connect, unless `Order` says otherwise"),
    ams("Order", ORDER, "Allow,Deny", "Which of the two has the last word; see the rules"),
];

impl Adaptor {
    /// Reads the file, and gives back with each listening address where it stands.
    pub(super) fn read(
        name: &str,
        view: &View<'_>,
        server: &Server,
        default_vhost: Vhost,
        vhosts: Vec<Vhost>,
    ) -> (Self, Vec<(Listen, Option<Place>)>) {
        let mut places = Vec::new();
        let mut host_ports = view.each("HostPortList/HostPort*");
        if host_ports.is_empty() {
            host_ports.push(view.absent("HostPortList/HostPort*"));
        }
        let is_enabled = view.flag("RTMFP@enable");
        for view in &host_ports {
            let text = view.parsed("", parse_ports((1935, 1935)));
            let rtmfp = view.parsed("@rtmfp", |entry, text| {
                if text.is_empty() { Ok(None) } else { parse_ports((1935, 1935))(entry, text).map(Some) }
            });
            let place = view.find("@rtmfp").or_else(|| view.find("")).map(|(_, place)| place.clone());
            let local = rtmfp.unwrap_or(text);
            if local.count() > MOST_LISTENING {
                let path = if view.find("@rtmfp").is_some() { "@rtmfp" } else { "" };
                view.problem(path, |path| {
                    format!("{path}: {} ports; an adaptor listens at {MOST_LISTENING} at most", local.count())
                });
                continue;
            }
            let set = with_public(view, local);
            let public_ip: Option<IpAddr> = server.public_ip;
            let place = place.or_else(|| view.place());
            places.extend(
                Listen::all(&set, server.networking_ipv6, public_ip).into_iter().map(|listen| (listen, place.clone())),
            );
        }
        if !is_enabled {
            places.clear();
        }
        let core_ports = view.each("RTMFP/Core/HostPortList/HostPort*").iter().filter_map(read_core_ports).collect();
        let adaptor = Self {
            name: name.into(),
            listen: places.iter().map(|(listen, _)| *listen).collect(),
            core_ports,
            rtmfp: Rtmfp::read(view),
            access: Access::read_for_clients(view),
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

fn parse_ports(default: (u16, u16)) -> impl Fn(&'static Entry, &str) -> Result<PortList, Option<String>> {
    move |_, text| PortList::parse(text, default).map_err(Some)
}

/// A set with its public counterpart, if that has as many ports and each a host.
fn with_public(view: &View<'_>, local: PortList) -> PortSet {
    let public = view.parsed("@public", |_, text| {
        if text.is_empty() {
            return Ok(None);
        }
        let public = PortList::parse(text, (1935, 1935)).map_err(Some)?;
        if let Some(host) = public.vague_host() {
            return Err(Some(match host {
                Some(host) => format!("{host} is nothing that others could reach"),
                None => "others need a host to reach it by".into(),
            }));
        }
        if public.has_zero() {
            return Err(Some("port 0 is nothing that others could reach".into()));
        }
        if public.count() != local.count() {
            return Err(Some(format!(
                "{} public for {} local ones; the nth stands for the nth",
                public.count(),
                local.count()
            )));
        }
        Ok(Some(public))
    });
    PortSet { local, public }
}

fn read_core_ports(view: &View<'_>) -> Option<PortSet> {
    let list =
        view.parsed(
            "",
            |entry, text| {
                if text.is_empty() { Ok(None) } else { parse_ports((19350, 65535))(entry, text).map(Some) }
            },
        );
    if list.is_none() {
        view.problem("@public", |path| format!("{path}: there are no ports that it could stand for"));
    }
    Some(with_public(view, list?))
}

impl Rtmfp {
    fn read(view: &View<'_>) -> Self {
        let keepalive = |kind: &str| KeepAlive {
            server: view.time(&format!("RTMFP/KeepAliveTime/{kind}/Server")),
            peers: view.time(&format!("RTMFP/KeepAliveTime/{kind}/Peers")),
        };
        let (keepalive_no_nat, keepalive_nat) = (keepalive("NoNAT"), keepalive("NAT"));
        let dead_peer_timeout = view.time("RTMFP/DeadPeerTimeout");
        let slowest = keepalive_no_nat.server.max(keepalive_nat.server);
        if dead_peer_timeout <= slowest {
            view.problem("RTMFP/DeadPeerTimeout", |path| {
                format!(
                    "{path} must be longer than KeepAliveTime lets a live client be silent, {} seconds",
                    slowest.as_secs_f64()
                )
            });
        }
        Self {
            update_stats_interval: view.time("RTMFP/UpdateStatsInterval"),
            keepalive_no_nat,
            keepalive_nat,
            forwarded_hello: view.word(
                "RTMFP/ForwardIHelloMode",
                &[
                    ("rhello", ForwardedHello::RespondHello),
                    ("redirect", ForwardedHello::Redirect),
                    ("ignore", ForwardedHello::Ignore),
                ],
            ),
            send_buffer: usize::try_from(view.whole("RTMFP/FlowSendMaxBufferSize")).unwrap_or(usize::MAX),
            unsent_age: view.time_or_none("RTMFP/FlowSendMaxUnsentAge"),
            dh_groups: view.numbers("RTMFP/DiffieHellmanGroups"),
            dead_peer_timeout,
        }
    }
}
