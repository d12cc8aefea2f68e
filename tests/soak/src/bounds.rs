//! How long things may take. Each bound is what the documentation promises, times two or three for a busy machine; besides, all bounds
//! grow with the lateness of this program's own timers ([`Patience`](crate::patience::Patience)).

use std::time::Duration;

/// `<heartbeat>` of the registry, in place of its default of two seconds: others notice within two heartbeats that a server has died.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);
/// `RTMFP/DeadPeerTimeout`, which is the shortest that a server takes: it closes the session of a client that is silent for so long.
pub(crate) const DEAD_PEER_TIMEOUT: Duration = Duration::from_secs(20);
/// `RTMFP/KeepAliveTime`, for clients with and without a NAT.
pub(crate) const SERVER_KEEPALIVE: Duration = Duration::from_secs(5);
/// After so long without a sign of life a client of the soak gives its server up.
pub(crate) const CLIENT_SILENCE: Duration = Duration::from_secs(15);
/// A client of the soak sends a keepalive after so long.
pub(crate) const CLIENT_KEEPALIVE: Duration = Duration::from_secs(5);

/// From the first hello to the answer to `connect`, for a server that is well all the time.
pub(crate) const ANSWERED: Duration = Duration::from_secs(15);
/// From the acknowledged `setPeerInfo`, or the end of a fault, until the client's own server introduces it.
pub(crate) const FOUND_HERE: Duration = Duration::from_secs(6);
/// The same for the other servers. The registry gives up a command after a second, connects again within two, writes all entries anew, and a
/// lookup that found nothing is cached for half a second: five seconds with a heartbeat.
pub(crate) const FOUND_ELSEWHERE: Duration = Duration::from_secs(15);
/// From the orderly end of a session, or the end of its server, until no server names the client: a lookup that found it is cached for two
/// seconds, and the last heartbeat of a server counts for one and a half.
pub(crate) const ENDED_FORGOTTEN: Duration = Duration::from_secs(12);
/// From the last sign of life of a client that vanished, until no server names it.
pub(crate) const VANISHED_FORGOTTEN: Duration = Duration::from_secs(40);
/// From the end of a session until the script has been told. For a client that vanished, [`VANISHED_FORGOTTEN`].
pub(crate) const TOLD: Duration = Duration::from_secs(12);
/// From a call of a method of the script to its answer. After a fault the call waits in its flow behind what is sent again, and the time until
/// that grows to ten seconds; if the client has moved besides, the acknowledgement may be lost once more.
pub(crate) const CALL_ANSWERED: Duration = Duration::from_secs(25);
/// From the first hello for a peer to a message that it has acknowledged: [`FOUND_ELSEWHERE`] if the peer has just connected, and hellos are
/// repeated less and less often.
pub(crate) const MET: Duration = Duration::from_secs(40);
/// From the command to stop until the server's process has ended.
pub(crate) const STOPPED: Duration = Duration::from_secs(30);

/// So long after a fault a session may end because of it: the silence of either end, and some seconds to notice it.
pub(crate) const AFTERMATH: Duration = Duration::from_secs(30);

/// From the start of a server until its memory is compared: pools and tables have grown to their sizes by then.
pub(crate) const WARM_UP: Duration = Duration::from_secs(300);
/// The memory of a server may grow by so many KiB in an hour, at the same number of clients.
pub(crate) const GROWTH_PER_HOUR: u64 = 6 << 10;
/// Besides, so many KiB: what the allocator keeps, and what differs between two moments.
pub(crate) const GROWTH_AT_ALL: u64 = 24 << 10;
