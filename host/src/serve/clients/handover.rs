//! The clients of a worker as records, and back: another process goes on with them.
//!
//! Limits by rate begin anew. The policies that were asked are gone: those of the new process are asked about a client whose connect waits, and
//! calls that wait fail.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use introd_flash::command::{Level, info};
use introd_flash::server::{NetConnection, Rejection};
use introd_netgroup::channel::{GroupChannels, JoinLimits};
use introd_netgroup::{GroupDigest, GroupKey};
use introd_policy::message::ClientCommand;
use introd_policy::{InstanceName, OpenCall};
use rtmfp::flow::SendFlowId;
use rtmfp::handover::Clock;
use rtmfp::{Moment, PeerId, SessionId};

use super::bookkeeping::Bookkeeping;
use super::client::{Client, Closing, Dealings, MessageCounts, client_id};
use super::client_groups::{ClientGroups, Membership};
use super::ending::Ending;
use super::table::Clients;
use crate::introducer::Counter;
use crate::meetings::NatKind;
use crate::serve::handover::{ClientRecord, ConnectingRecord, GroupsRecord, MembershipRecord, PlaceRecord};
use crate::serve::turn::{Turn, WorkerInfo};

/// A client of another process that nobody finds yet.
pub(in crate::serve) struct PreparedClient {
    session: SessionId,
    /// Where its packets go.
    address: SocketAddr,
    client: Box<Client>,
    /// Where it is to take its seat, if it has none yet. If it waits for the answer to its `connect`, it takes none: the script there was asked
    /// about it.
    place: Option<PlaceRecord>,
    groups: Option<GroupsRecord>,
    reported: Vec<SocketAddr>,
}

impl PreparedClient {
    /// The session.
    pub(in crate::serve) fn session(&self) -> SessionId {
        self.session
    }

    /// Whether it waits for the answer to its `connect`.
    pub(in crate::serve) fn waits(&self) -> bool {
        self.client.connection.is_pending()
    }

    /// Clients that came first are taken over before the others.
    pub(in crate::serve) fn order(&self) -> impl Ord + use<> {
        (self.client.accepted, self.session)
    }
}

impl Clients {
    /// Processes what waits within the clients' connections: it is not part of their records.
    pub(in crate::serve) fn prepare_handover(&mut self, turn: &mut Turn<'_>) {
        let waiting = self.clients.iter().filter(|(_, client)| client.connection.has_barriers());
        let waiting: Vec<SessionId> = waiting.map(|(session, _)| session).collect();
        for session in waiting {
            self.with_client(turn, session, |client_turn, client| {
                client.connection.give_up_barriers(&mut client_turn.agenda.actions);
            });
        }
    }

    /// A session's client as a record, if it has one.
    pub(in crate::serve) fn hand_over(
        &self,
        turn: &Turn<'_>,
        session: SessionId,
        clock: Clock,
    ) -> Option<ClientRecord> {
        self.clients.get(&session).map(|client| record(session, client, turn, clock))
    }

    /// Makes a client of another process, whose session is prepared and sends its packets there. Nobody finds the client yet.
    pub(in crate::serve) fn prepare(
        &self,
        info: &WorkerInfo,
        clock: Clock,
        record: ClientRecord,
        address: SocketAddr,
    ) -> PreparedClient {
        let services = &info.services;
        let session = SessionId::from_wire(record.session);
        let mut client = Box::new(Client::new(session, &services.connection, clock.read(record.active)));
        client.connection = NetConnection::take_over(Arc::clone(&services.connection), record.connection);
        client.sending = record.sending.iter().map(|(stream, flow)| (*stream, SendFlowId(*flow))).collect();
        let [bytes_in, bytes_out, msg_in, msg_out, msg_dropped] = record.stats;
        client.counts = MessageCounts { bytes_in, bytes_out, msg_in, msg_out, msg_dropped };
        client.accepted = clock.read_any(record.accepted).map(Moment::from);
        client.dealings = record.calls.map(|calls| Box::new(Dealings { calls }));
        client.is_proven = record.is_proven;
        client.nat = NatKind::of(address, &record.reported);
        client.silence.interval = record.silence_interval;
        if let Some((by, reason)) = record.ending {
            client.ends(Ending::new(by, reason));
        }
        if let Some(control_flow) = record.closing {
            client.seldom().closing = Some(Closing { control_flow });
        }
        let mut place = record.place;
        // An application with a script begins when all its clients are known.
        if let Some(PlaceRecord { peer, .. }) = place.as_ref().filter(|_| !client.connection.is_pending())
            && let Some(seat) =
                place.as_ref().and_then(|place| services.applications.readmit_early(&name_of(place), address.ip()))
        {
            client.place = Some((PeerId(*peer), seat));
            place = None;
        }
        PreparedClient { session, address, client, place, groups: record.groups, reported: record.reported }
    }

    /// Goes on with a client of another process, whose session is there already.
    pub(in crate::serve) fn take_over(&mut self, turn: &mut Turn<'_>, prepared: PreparedClient) {
        let PreparedClient { session, address, mut client, place, groups, reported } = prepared;
        let (now, services) = (turn.now, turn.services());
        if client.is_closing() {
            self.agenda.closing.insert(now + super::agenda::CLOSE_TIMEOUT, session);
        }
        let mut is_refused = false;
        if client.connection.is_pending() {
            let script = place.and_then(|place| services.applications.script_of(&name_of(&place)));
            script.into_iter().for_each(|script| client.was_asked_about_by(script));
        } else if let Some(place) = place {
            let peer = PeerId(place.peer);
            match services.applications.readmit(name_of(&place), address.ip()) {
                Ok(seat) => client.place = Some((peer, seat)),
                Err(refusal) => {
                    tracing::warn!(%session, %peer, %address, reason = %refusal.for_log(), "client cannot be taken over: closed");
                    is_refused = true;
                }
            }
        }
        if let Some((peer, seat)) = client.place.as_ref().filter(|_| client.accepted.is_some()) {
            let instance = seat.instance();
            instance.traffic().accepted();
            turn.counters().add(Counter::Connects);
            services.directory.connect(*peer, session, instance.id().0, address, client.is_proven);
            if !reported.is_empty() {
                services.directory.set_reported(peer, session, &reported);
            }
            client.sight(turn, address, &reported);
            client.groups = groups.map(|groups| self.groups_of(turn, session, &client, groups));
            let due = now + Duration::from_millis(client.silence.interval.into());
            client.silence.due = Some(due.into());
            self.agenda.silence.insert(due, session);
        }
        self.clients.insert(client);
        if is_refused {
            let (code, why) = ("NetConnection.Connect.AppShutdown", "its application is gone");
            self.close_with(turn, session, Level::Error, code, "The application is gone.", why);
        }
    }

    /// Has the policies of this process decide on the clients that wait for an answer to their `connect`. Those of which it is not known what they
    /// have said are refused.
    pub(in crate::serve) fn ask_again(
        &mut self,
        turn: &mut Turn<'_>,
        waiting: &[SessionId],
        connecting: Vec<ConnectingRecord>,
    ) {
        let mut requests: HashMap<_, _> =
            connecting.iter().map(|record| (SessionId::from_wire(record.session()), record.request())).collect();
        for session in waiting {
            self.with_client(turn, *session, |client_turn, client| match requests.remove(session).flatten() {
                Some(request) => client_turn.connect(client, request),
                None => {
                    let rejection =
                        Rejection::new("NetConnection.Connect.Failed", "The server was replaced: connect again.");
                    let _ = client.connection.reject(rejection, &mut client_turn.agenda.actions);
                }
            });
        }
    }

    /// Tells a client that the policy that was to answer is gone.
    pub(in crate::serve) fn fail_open_call(&mut self, turn: &mut Turn<'_>, session: SessionId, open: OpenCall) {
        let client = client_id(session);
        let command = match open {
            OpenCall::Call(transaction) => {
                let why = "The server was replaced before the call was answered.";
                let outcome = Err(info(Level::Error, "NetConnection.Call.Failed", why));
                ClientCommand::Answer { client, transaction, outcome }
            }
            OpenCall::Publication(publication) => ClientCommand::Publish { client, publication, is_allowed: false },
        };
        self.obey(turn, command);
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

fn name_of(place: &PlaceRecord) -> InstanceName {
    let PlaceRecord { adaptor, vhost, application, instance, .. } = place.clone();
    InstanceName { adaptor, vhost, application, instance }
}

fn record(session: SessionId, client: &Client, turn: &Turn<'_>, clock: Clock) -> ClientRecord {
    let place = client.place.as_ref().map(|(peer, seat)| {
        let InstanceName { adaptor, vhost, application, instance } = seat.instance().name().clone();
        PlaceRecord { peer: peer.0, adaptor, vhost, application, instance }
    });
    let reported = client.place.as_ref().map(|(peer, _)| turn.services().directory.reported_of(peer, session));
    let MessageCounts { bytes_in, bytes_out, msg_in, msg_out, msg_dropped } = client.counts;
    ClientRecord {
        session: session.get(),
        connection: client.connection.hand_over(),
        sending: client.sending.iter().map(|(stream, flow)| (*stream, flow.0)).collect(),
        place,
        active: clock.write(client.active.instant()),
        groups: client.groups.as_deref().map(record_groups),
        stats: [bytes_in, bytes_out, msg_in, msg_out, msg_dropped],
        accepted: clock.write_any(client.accepted.map(Moment::instant)),
        calls: client.dealings.as_ref().map(|dealings| dealings.calls.clone()),
        closing: client.closing_flow(),
        ending: client.ending().map(|ending| (ending.by.to_string(), ending.reason.to_string())),
        reported: reported.unwrap_or_default(),
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
