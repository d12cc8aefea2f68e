//! The keys of Adaptor.xml.

use std::sync::LazyLock;

use super::common::{ALLOW as ALLOW_MEANING, DENY as DENY_MEANING, ORDER as ORDER_MEANING, order};
use crate::choices::{ForwardedHello, Order};
use crate::key::{self, File, Repeated, Scope, keys};
use crate::numbers::{Limit, Numbers, Time, TimeOrNone, Whole, limit, milliseconds_or_none, numbers, seconds, whole};
use crate::ports::{OptionalPorts, Ports, optional_ports, ports};
use crate::rule::Hosts;
use crate::schema::{Missed, Schema};
use crate::words::{OnlyTrue, Words, words};

pub(crate) struct AdaptorXml;

impl Scope for AdaptorXml {}

impl File for AdaptorXml {
    fn schema() -> &'static Schema {
        &SCHEMA
    }
}

/// An element with ports to listen at.
pub(crate) struct HostPort;

impl Scope for HostPort {
    const PATH: &'static str = "HostPortList/HostPort*";
}

impl Repeated for HostPort {
    type Parent = AdaptorXml;
}

/// An element with ports of which each worker takes one.
pub(crate) struct CoreHostPort;

impl Scope for CoreHostPort {
    const PATH: &'static str = "RTMFP/Core/HostPortList/HostPort*";
}

impl Repeated for CoreHostPort {
    type Parent = AdaptorXml;
}

type Key<X> = key::Key<AdaptorXml, X>;
type HostPortKey<X> = key::Key<HostPort, X>;
type CoreHostPortKey<X> = key::Key<CoreHostPort, X>;

/// The port of RTMFP, where a list names none.
const PORT: u16 = 1935;

/// Why some values count in one adaptor alone.
const ALL_ADAPTORS: &str = "that of `_defaultRoot_` holds for all adaptors";

pub(crate) static SCHEMA: Schema = Schema {
    file: "Adaptor.xml",
    root: "Adaptor",
    entries: LazyLock::new(entries),
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
    missed: &[Missed {
        path: "SSL/SSLServerCtx/SSLCertificateFile",
        idle: &[],
        means: "clients connect by RTMFP, which encrypts by itself and needs no certificate file",
    }],
    renamed: &[],
    everywhere: None,
    holds_passwords: false,
};

const fn keepalive(default: u64) -> Time {
    seconds(5..=300, default)
}

keys! {
    HOST_PORT: HostPortKey<Ports> = HostPortKey::ams(
        "",
        ports(None, PORT, usize::MAX),
        "Where to listen: `host:port,port`. No host: at every address. No port: 1935. Port 0: one that the system chooses. The server listens at the same ports by UDP, unless `rtmfp` says otherwise, and never by TCP",
    );
    HOST_PORT_RTMFP: HostPortKey<OptionalPorts> =
        HostPortKey::ams("@rtmfp", optional_ports(PORT, PORT), "The UDP ports, if they are not those of the element");
    HOST_PORT_PUBLIC: HostPortKey<OptionalPorts> = HostPortKey::ours(
        "@public",
        optional_ports(PORT, PORT),
        "The ports by which others reach them, if the server is behind a NAT or in a container: as many ports, the nth for the nth",
    );
    ENABLE: Key<OnlyTrue> = Key::ams(
        "RTMFP@enable",
        OnlyTrue,
        "Whether the adaptor listens for RTMFP: not if it is anything else than `true`",
    );
    UPDATE_STATS_INTERVAL: Key<Time> = Key::ams(
        "RTMFP/UpdateStatsInterval",
        seconds(1..=3600, 5),
        "How often the statistics are refreshed, in seconds",
    )
    .without_effect("the counters are up to date at any time");
    KEEPALIVE_NO_NAT_SERVER: Key<Time> = Key::ams(
        "RTMFP/KeepAliveTime/NoNAT/Server",
        keepalive(20),
        "After how many silent seconds a client without a NAT sends the server a keepalive",
    );
    KEEPALIVE_NO_NAT_PEERS: Key<Time> = Key::ams(
        "RTMFP/KeepAliveTime/NoNAT/Peers",
        keepalive(20),
        "After how many silent seconds a client without a NAT sends its peers a keepalive",
    );
    KEEPALIVE_NAT_SERVER: Key<Time> = Key::ams(
        "RTMFP/KeepAliveTime/NAT/Server",
        keepalive(15),
        "After how many silent seconds a client behind a NAT sends the server a keepalive",
    );
    KEEPALIVE_NAT_PEERS: Key<Time> = Key::ams(
        "RTMFP/KeepAliveTime/NAT/Peers",
        keepalive(10),
        "After how many silent seconds a client behind a NAT sends its peers a keepalive",
    );
    FORWARDED_HELLO: Key<Words<ForwardedHello>> = Key::ams(
        "RTMFP/ForwardIHelloMode",
        words(
            &[
                ("rhello", ForwardedHello::RespondHello),
                ("redirect", ForwardedHello::Redirect),
                ("ignore", ForwardedHello::Ignore),
            ],
            "rhello",
        ),
        "What the server does with a hello that another server forwards to it, on a session that it opened there: answer it, answer with a redirect, or ignore it. It always ignores what clients forward",
    )
    .of_default_only(ALL_ADAPTORS);
    SEND_BUFFER: Key<Whole> = Key::ams(
        "RTMFP/FlowSendMaxBufferSize",
        whole(130_048..=1 << 30, 2_097_152),
        "The most bytes that wait in the send buffer of a flow",
    )
    .of_default_only(ALL_ADAPTORS);
    UNSENT_AGE: Key<TimeOrNone> = Key::ams(
        "RTMFP/FlowSendMaxUnsentAge",
        milliseconds_or_none(3_600_000, 0),
        "The age, in milliseconds, at which an unsent message is dropped. 0: never",
    )
    .of_default_only(ALL_ADAPTORS);
    CORE_HOST_PORT: CoreHostPortKey<OptionalPorts> = CoreHostPortKey::ams(
        "",
        optional_ports(19350, 65535),
        "Further UDP ports, `host:port-port,port;...`: each worker takes one from each such set. None: the workers share the ports that the adaptor listens at",
    );
    CORE_HOST_PORT_PUBLIC: CoreHostPortKey<OptionalPorts> = CoreHostPortKey::ams(
        "@public",
        optional_ports(PORT, PORT),
        "The ports by which others reach them: as many ports, the nth for the nth",
    );
    DH_GROUPS: Key<Numbers> = Key::ours(
        "RTMFP/DiffieHellmanGroups",
        numbers(&[2, 5, 14, 16], &[2, 5, 14]),
        "The groups that handshakes may use (RFC 7425 §4.2). A handshake with group 16 takes several milliseconds of a core's time",
    )
    .of_default_only(ALL_ADAPTORS);
    DEAD_PEER_TIMEOUT: Key<Time> = Key::ours(
        "RTMFP/DeadPeerTimeout",
        seconds(20..=3600, 120),
        "The server closes the session of a client that is silent for so many seconds",
    )
    .of_default_only(ALL_ADAPTORS);
    RELAY_PORTS: Key<OptionalPorts> = Key::ours(
        "RTMFP/Relay/Ports",
        optional_ports(19_400, 19_431),
        "The UDP ports by which peers are relayed to each other that cannot meet directly, `host:port-port,port;...`; no host: at every address. A client can be relayed to as many others as there are ports, of which there are 2 to 256. Empty: ports 19400 to 19431 if an application has `RTMFP/Relay` with another mode than `None`, and none otherwise; name them if only scripts or plugins decide about relays. Firewalls must let them through, from and to everywhere",
    )
    .of_default_only(ALL_ADAPTORS);
    RELAY_PORTS_PUBLIC: Key<OptionalPorts> = Key::ours(
        "RTMFP/Relay/Ports@public",
        optional_ports(PORT, PORT),
        "The ports by which others reach them, if the server is behind a NAT or in a container: as many ports, the nth for the nth",
    )
    .of_default_only(ALL_ADAPTORS);
    RELAY_MAX_PAIRS: Key<Whole> = Key::ours(
        "RTMFP/Relay/MaxPairs",
        whole(0..=100_000, 1024),
        "Pairs of peers that are relayed at a time",
    )
    .of_default_only(ALL_ADAPTORS);
    RELAY_MAX_PAIRS_PER_CLIENT: Key<Whole> = Key::ours(
        "RTMFP/Relay/MaxPairsPerClient",
        whole(1..=256, 16),
        "Peers that one client is relayed to at a time",
    )
    .of_default_only(ALL_ADAPTORS);
    RELAY_MAX_PAIRS_PER_ADDRESS: Key<Whole> = Key::ours(
        "RTMFP/Relay/MaxPairsPerAddress",
        whole(1..=100_000, 128),
        "Pairs at a time of all clients of one IP address together; a pair of two clients of one address counts twice. An IPv6 network of 64 bits counts as one address",
    )
    .of_default_only(ALL_ADAPTORS);
    RELAY_MAX_BYTES: Key<Limit> = Key::ours(
        "RTMFP/Relay/MaxBytesPerSecond",
        limit(1 << 32, Some(12_500_000)),
        "What all relayed pairs together may send in a second, in bytes: each byte comes in and goes out. What is beyond it is dropped. The default is 100 Mbit/s",
    )
    .of_default_only(ALL_ADAPTORS);
    RELAY_IDLE_TIMEOUT: Key<Time> = Key::ours(
        "RTMFP/Relay/IdleTimeout",
        seconds(30..=3600, 60),
        "A pair is relayed no more if one of its peers is silent for so many seconds: peers with a session send each other keepalives more often",
    )
    .of_default_only(ALL_ADAPTORS);
    MAX_DATAGRAM_SIZE: Key<Whole> = Key::ours(
        "RTMFP/MaxDatagramSize",
        whole(548..=1452, 1192),
        "The longest datagram that the server sends, in bytes of UDP payload. Sessions begin with 548 and find out by themselves what their path carries up to that. More than 1232 passes no path of IPv6's least MTU, and saves packets on others",
    )
    .of_default_only(ALL_ADAPTORS);
    ALLOW: Key<Hosts> = Key::ams("Allow", Hosts, ALLOW_MEANING);
    DENY: Key<Hosts> = Key::ams("Deny", Hosts, DENY_MEANING);
    ADAPTOR_ORDER: Key<Words<Order>> = Key::ams("Order", order(), ORDER_MEANING);
}
