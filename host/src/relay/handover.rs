//! The relay of a process that is replaced, and of the one that takes its place: the ports and the pairs go over.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use introd_relay::PairRecord;
use introd_udp::{LocalAddress, UdpSocket};

use super::Relay;
use super::order::Order;

/// What is written of a local address: the address, and its interface's index.
type LocalRecord = (Option<IpAddr>, u32);

/// The pairs as another process goes on with them.
pub type PairRecords = Vec<PairRecord<LocalRecord>>;

/// The sockets of the ports of another process's relay: for each port one or two, in the order of its configuration.
pub type OfferedPorts = Vec<Vec<UdpSocket>>;

/// The thread looks at its orders after each round, which takes less than a millisecond.
const STANDSTILL: Duration = Duration::from_secs(1);

impl Relay {
    /// The sockets of its ports once more, for another process, and their addresses: empty if the relay was started without them.
    pub fn shared_sockets(&self) -> &[Vec<(SocketAddr, OwnedFd)>] {
        &self.shared_sockets
    }

    /// Has the thread stand still: nothing is read from the sockets until [`Self::serve`], and what comes waits in them. False if the thread does
    /// not answer: it may still read.
    pub fn stand_still(&self) -> bool {
        let (stands, is_still) = mpsc::channel();
        let _ = self.orders.send(Order::StandStill(stands));
        is_still.recv_timeout(STANDSTILL).is_ok()
    }

    /// Has the thread pass datagrams on, after [`Self::stand_still`], or when the relay was started to wait.
    pub fn serve(&self) {
        let _ = self.orders.send(Order::Serve);
    }

    /// The pairs as they are now. The relay has to stand still.
    pub fn hand_over(&self, now: Instant) -> PairRecords {
        self.pairs.lock().hand_over(now, |local| (local.ip(), local.scope()))
    }

    /// Goes on with the pairs of the relay whose ports it has, which were written at `then`. Gives how many it goes on with: none, if it has
    /// other ports.
    pub fn take_over(&self, then: Instant, records: PairRecords) -> usize {
        if !self.ports.are_adopted() {
            return 0;
        }
        let local = |(ip, scope): LocalRecord| ip.map_or(LocalAddress::ANY, |ip| LocalAddress::new(ip, scope));
        self.pairs.lock().take_over(then, records, local)
    }
}

/// Once more the sockets of each port.
pub(super) fn share(
    ports: &[[Option<usize>; 2]],
    sockets: &[UdpSocket],
) -> std::io::Result<Vec<Vec<(SocketAddr, OwnedFd)>>> {
    let again = |place: &usize| {
        let socket = sockets.get(*place).ok_or(std::io::ErrorKind::NotFound)?;
        Ok((socket.local_address(), socket.as_fd().try_clone_to_owned()?))
    };
    ports.iter().map(|port| port.iter().flatten().map(again).collect()).collect()
}
