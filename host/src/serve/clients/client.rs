//! A client of a worker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_flash::server::{ConnectionSettings, NetConnection};
use introd_policy::AppActor;
use introd_policy::message::{ClientId, ClientStats};
use rtmfp::flow::SendFlowId;
use rtmfp::{Moment, PeerId, SessionId};
use smallvec::SmallVec;

use super::address_changes::AddressChanges;
use super::client_groups::ClientGroups;
use super::client_silence::ClientSilence;
use super::ending::Ending;
use super::relay_rates::RelayRates;
use crate::apps::Seat;
use crate::introducer::{Counter, WorkerCounters};
use crate::meetings::NatKind;
use crate::network::Sighting;
use crate::serve::rates::ClientRate;

/// There are many of these, and most of them are idle: rarely used parts are boxed to save memory.
pub(super) struct Client {
    session: SessionId,
    pub(super) connection: NetConnection,
    /// The server's flows to the client, by stream.
    pub(super) sending: SmallVec<[(u32, SendFlowId); 1]>,
    /// The client's peer id and its seat in an application instance, once it is admitted.
    pub(super) place: Option<(PeerId, Seat)>,
    /// When the client last sent a message.
    pub(super) active: Moment,
    /// The groups that it is in, if any.
    pub(super) groups: Option<Box<ClientGroups>>,
    /// The traffic since the client asked to connect.
    pub(super) counts: MessageCounts,
    /// When it was accepted.
    pub(super) accepted: Option<Moment>,
    /// Its relation to the policy of its application, if there is one.
    pub(super) dealings: Option<Box<Dealings>>,
    /// What few clients have.
    seldom: Option<Box<Seldom>>,
    /// The rate of its address changes.
    pub(super) changes: AddressChanges,
    pub(super) silence: ClientSilence,
    /// Whether it had proven that its peer id is its own when it was accepted.
    pub(super) is_proven: bool,
    /// The NAT that it is behind, by the addresses that it has reported.
    pub(super) nat: NatKind,
    /// How it counts among the clients at its address, if it does.
    pub(super) sighting: Option<Box<Sighting>>,
}

/// What the client has sent and been sent: [`ClientStats`] without what the session knows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MessageCounts {
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) msg_in: u64,
    pub(super) msg_out: u64,
    pub(super) msg_dropped: u64,
}

impl MessageCounts {
    /// The statistics of a client whose round trip time is `smoothed_rtt`, if that is known.
    pub(super) fn stats(self, smoothed_rtt: Option<Duration>) -> ClientStats {
        let Self { bytes_in, bytes_out, msg_in, msg_out, msg_dropped } = self;
        let ping_rtt = smoothed_rtt.map_or(0, |rtt| u64::try_from(rtt.as_millis()).unwrap_or(u64::MAX));
        ClientStats { bytes_in, bytes_out, msg_in, msg_out, msg_dropped, ping_rtt }
    }
}

/// What few clients have: those whose rates are limited, and those whose connections this server ends.
#[derive(Default)]
pub(super) struct Seldom {
    /// The rate of its lookups, if that is limited.
    pub(super) lookups: ClientRate,
    /// The rates of the calls that it makes and gets by `relay`.
    pub(super) relays: RelayRates,
    pub(super) closing: Option<Closing>,
    /// Why this server ends the connection, if it does.
    ending: Option<Ending>,
    /// The script that has been told of the client because the script of another process was asked about it, until it is asked itself.
    asked_before: Option<Arc<dyn AppActor>>,
}

/// The relation between a client and the policy of its application.
#[derive(Default)]
pub(super) struct Dealings {
    /// Calls of the application that the client has not answered yet: the transaction number and the application's token of each.
    pub(super) calls: Vec<(u64, u64)>,
}

/// A connection that ends once the client has received all messages.
pub(super) struct Closing {
    /// The client's control flow. It is rejected last, which is how AIR notices the end: clients take the connection for lost then, and
    /// ignore everything that comes after.
    pub(super) control_flow: Option<u64>,
}

impl Client {
    /// A client whose session has opened its first flow.
    pub(super) fn new(session: SessionId, settings: &Arc<ConnectionSettings>, now: Instant) -> Self {
        Self {
            session,
            connection: NetConnection::new(Arc::clone(settings)),
            sending: SmallVec::new(),
            place: None,
            active: now.into(),
            groups: None,
            counts: MessageCounts::default(),
            accepted: None,
            dealings: None,
            seldom: None,
            changes: AddressChanges::new(now),
            silence: ClientSilence::default(),
            is_proven: false,
            nat: NatKind::Unknown,
            sighting: None,
        }
    }
}

/// A client's name among all workers: its session id says which worker has it.
pub(super) fn client_id(session: SessionId) -> ClientId {
    ClientId { worker: session.prefix(), session }
}

impl Client {
    /// The client's session.
    pub(super) fn session(&self) -> SessionId {
        self.session
    }

    /// What few clients have; this one has it from now on.
    pub(super) fn seldom(&mut self) -> &mut Seldom {
        self.seldom.get_or_insert_default()
    }

    /// Whether this server closes the connection.
    pub(super) fn is_closing(&self) -> bool {
        self.seldom.as_ref().is_some_and(|seldom| seldom.closing.is_some())
    }

    /// How this server closes the connection, if it does.
    pub(super) fn closing(&mut self) -> Option<&mut Closing> {
        self.seldom.as_mut()?.closing.as_mut()
    }

    /// If this server closes the connection: the client's control flow, until it is rejected.
    pub(super) fn closing_flow(&self) -> Option<Option<u64>> {
        Some(self.seldom.as_ref()?.closing.as_ref()?.control_flow)
    }

    /// Why this server ends the connection, if it does.
    pub(super) fn ending(&self) -> Option<&Ending> {
        self.seldom.as_ref()?.ending.as_ref()
    }

    /// The script of another process was asked about the client, and this one goes on from there.
    pub(super) fn was_asked_about_by(&mut self, script: Arc<dyn AppActor>) {
        self.seldom().asked_before = Some(script);
    }

    /// The script that has been told of the client and not been asked about it, if there is one. The next call gives none.
    pub(super) fn take_asked_before(&mut self) -> Option<Arc<dyn AppActor>> {
        self.seldom.as_mut()?.asked_before.take()
    }

    /// This server ends the connection. The first reason is the one that counts.
    pub(super) fn ends(&mut self, ending: Ending) {
        self.seldom().ending.get_or_insert(ending);
    }
}

/// Each message is counted for the client, for its instance, and for the worker.
impl Client {
    pub(super) fn count_received(&mut self, counters: &WorkerCounters, bytes: u64) {
        self.counts.msg_in += 1;
        self.counts.bytes_in += bytes;
        counters.add(Counter::MessagesIn);
        counters.add_many(Counter::BytesIn, bytes);
        if let Some((_, seat)) = &self.place {
            seat.instance().traffic().received(bytes);
        }
    }

    pub(super) fn count_sent(&mut self, counters: &WorkerCounters, bytes: u64) {
        self.counts.msg_out += 1;
        self.counts.bytes_out += bytes;
        counters.add(Counter::MessagesOut);
        counters.add_many(Counter::BytesOut, bytes);
        if let Some((_, seat)) = &self.place {
            seat.instance().traffic().sent(bytes);
        }
    }

    pub(super) fn count_dropped(&mut self, counters: &WorkerCounters) {
        self.counts.msg_dropped += 1;
        counters.add(Counter::MessagesDropped);
        if let Some((_, seat)) = &self.place {
            seat.instance().traffic().dropped();
        }
    }
}

impl Client {
    /// The script of the client's application, if that has one and was told of the client.
    pub(super) fn script(&self) -> Option<&Arc<dyn AppActor>> {
        self.place.as_ref()?.1.instance().actor()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server holds a hundred thousand of them.
    #[test]
    fn an_idle_client_stays_small() {
        assert!(size_of::<Client>() <= 352, "{}", size_of::<Client>());
    }
}
