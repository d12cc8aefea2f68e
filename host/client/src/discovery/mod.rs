//! Finds members of an endpoint's groups on the local network by IP multicast, where a groupspec asks for it
//! ([`introd_netgroup::discovery`]): the sockets for that, and the clocks.

mod sources;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use introd_netgroup::discovery::{Discovery, DiscoveryCounters};
use introd_netgroup::groupspec::kind;
use introd_netgroup::{GroupDigest, Groupspec};
use introd_udp::{InterfaceAddress, MulticastReceiver, RecvBatch, interface_addresses, send_multicast, sleep_until};
use rtmfp::PeerId;

use self::sources::{Source, receivers, sources};

/// How many datagrams are read before the endpoint's own sockets have a turn.
const BATCH: usize = 32;

/// A member of a group has announced itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) group: GroupDigest,
    pub(super) peer: PeerId,
    pub(super) address: SocketAddr,
}

/// The discovery of an endpoint's groups. It has no sockets, and costs nothing, while no groupspec asks for it.
#[derive(Default)]
pub(super) struct LocalDiscovery {
    groups: Vec<GroupDiscovery>,
    /// What was heard and not taken yet: of one batch at most.
    found: VecDeque<Announced>,
    batch: Option<RecvBatch>,
    /// The counts of groups that were left.
    counters: DiscoveryCounters,
}

struct GroupDiscovery {
    group: GroupDigest,
    discovery: Discovery,
    /// The addresses of the endpoint's sockets.
    bound: Vec<SocketAddr>,
    receivers: Vec<Receiver>,
    /// What could not be done in the last round, as the log says.
    failed: usize,
}

struct Receiver {
    /// The number of the multicast address.
    via: usize,
    address: SocketAddr,
    receiver: MulticastReceiver,
}

impl LocalDiscovery {
    /// The endpoint `near`, whose sockets are bound to `bound`, has joined a group.
    pub(super) fn join(&mut self, group: &Groupspec, near: PeerId, bound: impl Iterator<Item = SocketAddr>) {
        let has_address = group.multicast_addresses().next().is_some();
        if has_address && !group.has(kind::IP_MULTICAST_MEMBER_UPDATES) {
            tracing::warn!(group = %group.digest(), "the groupspec has a multicast address, which is not used: ipMulticastMemberUpdatesEnabled is off");
        }
        let mut seed = [0; 32];
        // A seed that others could foresee would only make the times of announcements foreseeable.
        let _ = getrandom::fill(&mut seed);
        let Some(discovery) = Discovery::new(Instant::now(), group, near, seed) else { return };
        let bound = bound.collect();
        self.groups.push(GroupDiscovery { group: group.digest(), discovery, bound, receivers: Vec::new(), failed: 0 });
    }

    /// The endpoint has left a group.
    pub(super) fn leave(&mut self, group: &GroupDigest) {
        for left in self.groups.extract_if(.., |own| own.group == *group) {
            let mut discovery = left.discovery;
            self.counters.add(discovery.take_counters());
        }
        self.found.retain(|announced| announced.group != *group);
    }

    pub(super) fn take_counters(&mut self) -> DiscoveryCounters {
        let mut all = std::mem::take(&mut self.counters);
        self.groups.iter_mut().for_each(|group| all.add(group.discovery.take_counters()));
        all
    }

    /// Announces the endpoint when it is time, and waits until a member has announced itself. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Announced {
        loop {
            if let Some(announced) = self.found.pop_front() {
                return announced;
            }
            let due = self.groups.iter().map(|group| group.discovery.poll_timeout()).min();
            tokio::select! {
                () = self.receive() => {
                    // Whatever comes in, the endpoint's own sockets and the thread's other tasks have a turn.
                    tokio::task::yield_now().await;
                }
                () = sleep_until(due) => self.announce(),
            }
        }
    }

    /// Announces the endpoint in the groups for which it is time. The machine's addresses may have changed since the last time.
    fn announce(&mut self) {
        let now = Instant::now();
        let mut present = None;
        for group in &mut self.groups {
            if !group.discovery.begin_round(now) {
                continue;
            }
            let present = present.get_or_insert_with(|| {
                interface_addresses().unwrap_or_else(|error| {
                    tracing::warn!(%error, "the addresses of this machine are not known");
                    Vec::new()
                })
            });
            group.announce(present);
        }
    }

    async fn receive(&mut self) {
        poll_fn(|context| self.poll_receive(context)).await;
    }

    /// Reads one batch of each socket that has datagrams.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.groups.is_empty() {
            return Poll::Pending;
        }
        let batch = self.batch.get_or_insert_with(|| RecvBatch::new(BATCH));
        let mut is_any = false;
        for group in &mut self.groups {
            is_any |= group.poll_receive(context, batch, &mut self.found);
        }
        if is_any { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl GroupDiscovery {
    fn announce(&mut self, present: &[InterfaceAddress]) {
        let sources = sources(&self.bound, present);
        let mut failed = self.listen(&sources);
        let addresses = self.discovery.addresses().to_vec();
        for group in &addresses {
            for Source { interface, address } in &sources {
                let is_heard = group.source.is_none_or(|source| source == address.ip());
                if address.is_ipv4() != group.address.is_ipv4() || !is_heard {
                    continue;
                }
                let datagram = self.discovery.announcement(unix_milliseconds(), *address);
                if let Err(error) = send_multicast(*address, *interface, group.address, &datagram) {
                    tracing::debug!(group = %self.group, from = %address, to = %group.address, %error, "not announced");
                    failed += 1;
                }
            }
        }
        if failed != self.failed {
            self.failed = failed;
            if failed > 0 {
                tracing::warn!(
                    group = %self.group,
                    failed,
                    "this member is not heard, or does not hear, on a part of the local network: a network interface or another program does not permit it"
                );
            }
        }
    }

    /// Listens at the interfaces of these addresses. Returns how many of them that is not possible at.
    fn listen(&mut self, sources: &[Source]) -> usize {
        let mut failed = 0;
        let addresses = self.discovery.addresses().iter().enumerate();
        let wanted: Vec<(usize, SocketAddr, BTreeSet<u32>)> = addresses
            .flat_map(|(via, group)| {
                receivers(group.address, sources).into_iter().map(move |(bind, at)| (via, bind, at))
            })
            .collect();
        self.receivers.retain(|known| wanted.iter().any(|(via, bind, _)| (*via, *bind) == (known.via, known.address)));
        for (via, bind, interfaces) in wanted {
            let known = self.receivers.iter_mut().find(|known| (known.via, known.address) == (via, bind));
            let joined = match known {
                Some(known) => Ok(known.receiver.join(&interfaces)),
                None => self.begin_to_listen(via, bind, &interfaces),
            };
            match joined {
                Ok(not_joined) => failed += not_joined,
                Err(error) => {
                    tracing::debug!(group = %self.group, address = %bind, %error, "a multicast address is not listened at");
                    failed += 1;
                }
            }
        }
        failed
    }

    /// Returns at how many of the interfaces that is not possible.
    fn begin_to_listen(&mut self, via: usize, bind: SocketAddr, interfaces: &BTreeSet<u32>) -> io::Result<usize> {
        let mut receiver = MulticastReceiver::bind(bind)?;
        let failed = receiver.join(interfaces);
        self.receivers.push(Receiver { via, address: bind, receiver });
        Ok(failed)
    }

    /// Reads a batch of each socket that has datagrams; false if none has any.
    fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        batch: &mut RecvBatch,
        found: &mut VecDeque<Announced>,
    ) -> bool {
        let mut is_any = false;
        let (group, discovery) = (self.group, &mut self.discovery);
        self.receivers.retain(|Receiver { via, receiver, .. }| match receiver.poll_receive(context, batch) {
            Poll::Pending => true,
            Poll::Ready(Ok(_)) => {
                is_any = true;
                let (now, unix) = (Instant::now(), unix_milliseconds());
                for datagram in batch.datagrams() {
                    let heard = discovery.receive(now, unix, *via, datagram.from, datagram.bytes);
                    found.extend(heard.map(|(peer, address)| Announced { group, peer, address }));
                }
                true
            }
            // The next round makes another one.
            Poll::Ready(Err(error)) => {
                tracing::debug!(%group, %error, "a multicast socket has failed");
                false
            }
        });
        is_any
    }
}

/// The time, in milliseconds since 1970 (UTC).
fn unix_milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
