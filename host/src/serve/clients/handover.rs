//! The clients of a worker as records, and back: another process goes on with them.
//!
//! Limits by rate begin anew. A client whose connect waits for a policy is refused by the new process: the policy that was asked is gone.

use std::sync::Arc;

use introd_flash::command::Level;
use introd_flash::server::{NetConnection, Rejection};
use introd_netgroup::channel::{GroupChannels, JoinLimits};
use introd_netgroup::{GroupDigest, GroupKey};
use introd_policy::InstanceName;
use introd_policy::message::ClientStats;
use rtmfp::flow::SendFlowId;
use rtmfp::handover::Clock;
use rtmfp::{PeerId, SessionId};

use super::bookkeeping::Bookkeeping;
use super::client::{Client, Closing, Dealings};
use super::client_groups::{ClientGroups, Membership};
use super::ending::Ending;
use super::table::Clients;
use crate::introducer::Counter;
use crate::meetings::NatKind;
use crate::serve::handover::{ClientRecord, GroupsRecord, MembershipRecord, PlaceRecord};
use crate::serve::turn::Turn;

impl Clients {
    /// Processes what waits within the clients' connections: it is not part of their records.
    pub(in crate::serve) fn prepare_handover(&mut self, turn: &mut Turn<'_>) {
        let all: Vec<SessionId> = self.clients.keys().copied().collect();
        for session in all {
            self.with_client(turn, session, |client_turn, client| {
                client.connection.give_up_barriers(&mut client_turn.agenda.actions);
            });
        }
    }

    /// The clients as records, those that came first before the others.
    pub(in crate::serve) fn hand_over(&self, turn: &Turn<'_>, clock: Clock) -> Vec<ClientRecord> {
        let mut all: Vec<_> = self.clients.iter().collect();
        all.sort_by_key(|(session, client)| (client.accepted, **session));
        all.into_iter().map(|(session, client)| record(*session, client, turn, clock)).collect()
    }

    /// Goes on with a client of another process, whose session is there already.
    pub(in crate::serve) fn take_over(&mut self, turn: &mut Turn<'_>, clock: Clock, record: ClientRecord) {
        let session = SessionId::from_wire(record.session);
        let (now, services) = (turn.now, turn.services());
        let mut client = Box::new(Client::new(&services.connection, now));
        client.connection = NetConnection::take_over(Arc::clone(&services.connection), record.connection);
        client.sending = record.sending.iter().map(|(stream, flow)| (*stream, SendFlowId(*flow))).collect();
        client.active = clock.read(record.active);
        let [bytes_in, bytes_out, msg_in, msg_out, msg_dropped] = record.stats;
        client.stats = ClientStats { bytes_in, bytes_out, msg_in, msg_out, msg_dropped, ping_rtt: 0 };
        client.accepted = clock.read_any(record.accepted);
        client.dealings = record.calls.map(|calls| Box::new(Dealings { calls }));
        client.is_proven = record.is_proven;
        if let Some((by, reason)) = record.ending {
            client.ends(Ending::new(by, reason));
        }
        if let Some(control_flow) = record.closing {
            client.seldom().closing = Some(Closing { control_flow });
            self.agenda.closing.insert(now + super::agenda::CLOSE_TIMEOUT, session);
        }
        let is_pending = client.connection.is_pending();
        let mut is_refused = false;
        if let (Some(place), Some(info)) = (record.place.filter(|_| !is_pending), turn.endpoint.session(session)) {
            let (peer, address) = (PeerId(place.peer), info.far_address);
            match services.applications.readmit(name_of(place), address.ip()) {
                Ok(seat) => {
                    let instance = seat.instance().id().0;
                    client.place = Some((peer, seat));
                    client.nat = NatKind::of(address, &record.reported);
                    if client.accepted.is_some() {
                        if let Some((_, seat)) = &client.place {
                            seat.instance().traffic().accepted();
                        }
                        turn.counters().add(Counter::Connects);
                        services.directory.connect(peer, session, instance, address, client.is_proven);
                        services.directory.set_reported(&peer, session, &record.reported);
                        client.sight(turn, address, &record.reported);
                        client.groups = record.groups.map(|groups| self.groups_of(turn, session, &client, groups));
                        client.silence.interval = record.silence_interval;
                        let due = now + std::time::Duration::from_millis(record.silence_interval.into());
                        client.silence.due = Some(due);
                        self.agenda.silence.insert(due, session);
                    }
                }
                Err(refusal) => {
                    tracing::warn!(%session, %peer, %address, reason = %refusal.for_log(), "client cannot be taken over: closed");
                    is_refused = true;
                }
            }
        }
        self.clients.insert(session, client);
        if is_refused {
            let (code, why) = ("NetConnection.Connect.AppShutdown", "its application is gone");
            self.close_with(turn, session, Level::Error, code, "The application is gone.", why);
        } else if is_pending {
            self.with_client(turn, session, |client_turn, client| {
                let rejection =
                    Rejection::new("NetConnection.Connect.Failed", "The server was replaced: connect again.");
                let _ = client.connection.reject(rejection, &mut client_turn.agenda.actions);
            });
        }
    }

    /// Makes a client the member of its groups that it was.
    fn groups_of(
        &self,
        turn: &Turn<'_>,
        session: SessionId,
        client: &Client,
        record: GroupsRecord,
    ) -> Box<ClientGroups> {
        let flows = record.flows.into_iter().map(|(flow, group)| (flow, GroupDigest(group)));
        let channels = GroupChannels::with_flows(turn.now, JoinLimits::default(), flows);
        let memberships = record.memberships.into_iter().map(|of| Membership {
            sending: of.sending.map(SendFlowId),
            is_told: of.is_told,
            is_handled: of.is_handled,
            is_built_in: of.is_built_in,
            is_waiting: of.is_waiting,
            ..Membership::new(of.number, GroupDigest(of.group), GroupKey(of.key))
        });
        let groups = ClientGroups { channels, memberships: memberships.collect(), joined: record.joined };
        if let Some(bookkeeping) = Bookkeeping::new(client.place.as_ref(), session, turn.info, turn.now) {
            let entered = groups.memberships.iter().filter(|membership| !membership.is_waiting);
            entered.for_each(|membership| bookkeeping.rejoin(membership));
        }
        Box::new(groups)
    }
}

fn name_of(place: PlaceRecord) -> InstanceName {
    let PlaceRecord { adaptor, vhost, application, instance, .. } = place;
    InstanceName { adaptor, vhost, application, instance }
}

fn record(session: SessionId, client: &Client, turn: &Turn<'_>, clock: Clock) -> ClientRecord {
    let place = client.place.as_ref().map(|(peer, seat)| {
        let InstanceName { adaptor, vhost, application, instance } = seat.instance().name().clone();
        PlaceRecord { peer: peer.0, adaptor, vhost, application, instance }
    });
    let known = client.place.as_ref().and_then(|(peer, _)| turn.services().directory.lookup(peer));
    let ClientStats { bytes_in, bytes_out, msg_in, msg_out, msg_dropped, .. } = client.stats;
    ClientRecord {
        session: session.get(),
        connection: client.connection.hand_over(),
        sending: client.sending.iter().map(|(stream, flow)| (*stream, flow.0)).collect(),
        place,
        active: clock.write(client.active),
        groups: client.groups.as_deref().map(record_groups),
        stats: [bytes_in, bytes_out, msg_in, msg_out, msg_dropped],
        accepted: clock.write_any(client.accepted),
        calls: client.dealings.as_ref().map(|dealings| dealings.calls.clone()),
        closing: client.closing_flow(),
        ending: client.ending().map(|ending| (ending.by.to_string(), ending.reason.to_string())),
        reported: known.filter(|known| known.owner == session).map_or_else(Vec::new, |known| known.reported.to_vec()),
        silence_interval: client.silence.interval,
        is_proven: client.is_proven,
    }
}

fn record_groups(groups: &ClientGroups) -> GroupsRecord {
    let membership = |of: &Membership| MembershipRecord {
        number: of.number,
        group: of.group.0,
        key: of.key.0,
        sending: of.sending.map(|flow| flow.0),
        is_told: of.is_told,
        is_handled: of.is_handled,
        is_built_in: of.is_built_in,
        is_waiting: of.is_waiting,
    };
    GroupsRecord {
        flows: groups.channels.flows().map(|(flow, group)| (flow, group.0)).collect(),
        memberships: groups.memberships.iter().map(membership).collect(),
        joined: groups.joined,
    }
}
