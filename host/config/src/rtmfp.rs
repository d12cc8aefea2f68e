//! How RTMFP behaves at an adaptor.

use std::time::Duration;

use super::choices::ForwardedHello;
use super::keys::adaptor as keys;
use super::view::View;

/// How RTMFP behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rtmfp {
    /// How often the statistics of flows are refreshed.
    pub update_stats_interval: Duration,
    /// After how much silence clients without a NAT send keepalives.
    pub keepalive_no_nat: KeepAlive,
    /// After how much silence clients behind a NAT send keepalives.
    pub keepalive_nat: KeepAlive,
    /// How the server answers a hello that was forwarded to it.
    pub forwarded_hello: ForwardedHello,
    /// The most bytes that wait in the send buffer of a flow.
    pub send_buffer: usize,
    /// The oldest unsent message that a flow keeps; `None` is any age.
    pub unsent_age: Option<Duration>,
    /// The Diffie-Hellman groups offered, by their numbers in RFC 2409 and RFC 3526 (RFC 7425 §4.2).
    pub dh_groups: Vec<u64>,
    /// The server closes a session that is silent for so long.
    pub dead_peer_timeout: Duration,
    /// The longest datagram that the server sends, in bytes of UDP payload.
    pub max_datagram_size: usize,
}

/// After how much silence a client sends a keepalive (RFC 7425 §5.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// To the server.
    pub server: Duration,
    /// To its peers.
    pub peers: Duration,
}

impl Rtmfp {
    pub(super) fn read(view: &View<'_, keys::AdaptorXml>) -> Self {
        let keepalive_no_nat = KeepAlive {
            server: view.read(&keys::KEEPALIVE_NO_NAT_SERVER),
            peers: view.read(&keys::KEEPALIVE_NO_NAT_PEERS),
        };
        let keepalive_nat =
            KeepAlive { server: view.read(&keys::KEEPALIVE_NAT_SERVER), peers: view.read(&keys::KEEPALIVE_NAT_PEERS) };
        let dead_peer_timeout = view.read(&keys::DEAD_PEER_TIMEOUT);
        let slowest = keepalive_no_nat.server.max(keepalive_nat.server);
        if dead_peer_timeout <= slowest {
            view.problem(&keys::DEAD_PEER_TIMEOUT, |path| {
                format!(
                    "{path} must be longer than KeepAliveTime lets a live client be silent, {} seconds",
                    slowest.as_secs_f64()
                )
            });
        }
        Self {
            update_stats_interval: view.read(&keys::UPDATE_STATS_INTERVAL),
            keepalive_no_nat,
            keepalive_nat,
            forwarded_hello: view.read(&keys::FORWARDED_HELLO),
            send_buffer: view.read(&keys::SEND_BUFFER),
            unsent_age: view.read(&keys::UNSENT_AGE),
            dh_groups: view.read(&keys::DH_GROUPS),
            dead_peer_timeout,
            max_datagram_size: view.read(&keys::MAX_DATAGRAM_SIZE),
        }
    }
}
