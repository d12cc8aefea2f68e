//! Handles the events of clients' sessions: flows, changes of address, the end.

use std::net::SocketAddr;

use introd_flash::command::Level;
use introd_flash::server::{FlowVerdict, Rejection};
use introd_policy::message::AppEvent;
use rtmfp::flow::{FlowEvent, RecvFlowId};
use rtmfp::{CloseReason, Event, Refusal, SessionId};

use super::agenda::{CLOSE_TIMEOUT, EXCEPTION_TIMEOUT};
use super::client::Client;
use super::costs;
use super::ending::{ACCESS_DENIED, Ending, TOO_MUCH_WORK};
use super::table::Clients;
use crate::apps;
use crate::introducer::Counter;
use crate::meetings::NatKind;
use crate::serve::turn::Turn;
use crate::stories::{Event as StoryEvent, EventKind};

impl Clients {
    /// Handles an event of a session.
    pub(in crate::serve) fn handle(&mut self, turn: &mut Turn<'_>, event: Event) {
        match event {
            Event::Opened { session, .. } => {
                if let Some(info) = turn.endpoint.session(session) {
                    let near = turn.ports.address_of(info.interface);
                    tracing::debug!(%session, peer = %info.peer_id, address = %info.far_address, ?near, "session open");
                }
            }
            Event::Flow { session, event } => self.handle_flow(turn, session, event),
            Event::AddressChanged { session, from, to } => {
                tracing::info!(%session, %from, %to, "client has moved");
                self.moved(turn, session, from, to);
                if let Some(info) = turn.endpoint.session(session)
                    && turn.services().directory.set_observed(&info.peer_id, session, to)
                {
                    turn.services().announce(info.peer_id, session, info.is_proven);
                }
                self.tell_plugins_moved(session, to);
                self.tell_script(turn, session, |client| AppEvent::FarAddressChange { client, address: to });
                self.close_if_denied(turn, session, to);
            }
            Event::Closed { session, reason } => {
                self.leave_all_groups(turn, session);
                self.forget_silence(session);
                self.tell_script(turn, session, |client| AppEvent::Disconnect { client });
                self.tell_asked_before(session);
                self.cancel_connect(turn, session, &reason.to_string());
                self.tell_plugins_gone(session, &reason.to_string());
                if let Some(mut client) = self.clients.remove(&session) {
                    client.lose_sight(turn);
                    if client.accepted.is_some() {
                        turn.counters().add(Counter::Disconnects);
                        if let Some((_, seat)) = &client.place {
                            seat.instance().traffic().disconnected();
                        }
                    }
                    gone(turn, session, &client, reason);
                    let ends_relaying = client.ending().is_some_and(Ending::ends_relaying);
                    if let Some((peer, _)) = client.place {
                        self.give_up_id(turn.info, peer, session, client.is_proven);
                        // Another session may have the id.
                        if ends_relaying
                            && let Some(relay) = &turn.services().relay
                            && turn.services().directory.lookup(&peer).is_none()
                        {
                            relay.end_of(peer);
                        }
                    }
                }
            }
            Event::Refused { from, reason } => {
                let limit = match reason {
                    Refusal::Sessions => "MaxSessions",
                    Refusal::SessionsOfPrefix => "MaxSessionsPerAddress",
                    Refusal::Keyings | Refusal::KeyingsOfPrefix => "MaxPendingHandshakes",
                };
                turn.services().refusals.tell(turn.now, from.ip(), limit);
            }
            Event::Overspent { session, is_persistent } => self.overspent(turn, session, is_persistent),
            Event::Pong { session, .. } => {
                self.spoke(turn.info, session);
                self.answered(turn.info, session);
            }
            Event::OpenFailed { .. } | Event::Keys { .. } => (),
            // The worker's own.
            Event::Lookup(_) | Event::Keying(_) => (),
        }
    }

    /// Notes that a client's packets come from another address.
    fn moved(&mut self, turn: &Turn<'_>, session: SessionId, from: SocketAddr, to: SocketAddr) {
        let Some(client) = self.clients.get_mut(&session) else { return };
        let Some((peer, seat)) = &client.place else { return };
        let known = turn.services().directory.lookup(peer).filter(|known| known.owner == session);
        let reported = known.as_ref().map_or(&[][..], |known| &known.reported);
        client.nat = NatKind::of(to, reported);
        let event = StoryEvent::new(turn.now, EventKind::Moved { from }).of(*peer, to);
        turn.info.tell(event.in_place(seat.instance().shared_name()));
        client.sight(turn, to, reported);
    }

    fn handle_flow(&mut self, turn: &mut Turn<'_>, session: SessionId, event: FlowEvent) {
        let now = turn.now;
        let settings = &turn.services().connection;
        let make = || Box::new(Client::new(session, settings, now));
        let Some(client) = self.clients.get_or_insert_with(session, make) else { return };
        let actions = &mut self.agenda.actions;
        let mut work = 0;
        match event {
            FlowEvent::Opened { flow, metadata, return_of } => {
                let return_of = return_of.map(|flow| flow.0);
                if let FlowVerdict::Reject(reason) = client.connection.on_flow(flow.0, &metadata, return_of) {
                    tracing::debug!(%session, flow = flow.0, %reason, "flow rejected");
                    let _ = turn.endpoint.with_flows(now, session, |flows| flows.reject(flow, 0));
                }
            }
            FlowEvent::Message { flow, data, .. } => {
                client.active = now.into();
                client.count_received(turn.counters(), data.len() as u64);
                client.connection.on_message(flow.0, &data, actions);
                work = costs::of_message(&data);
            }
            FlowEvent::Ended { flow, .. } => client.connection.on_flow_closed(flow.0, actions),
            FlowEvent::Rejected { flow, .. } => {
                if let Some(groups) = &mut client.groups {
                    groups.on_rejected(flow);
                }
                if let Some((stream, _)) = client.sending.iter().find(|(_, id)| *id == flow) {
                    client.connection.on_flow_exception(*stream, actions);
                }
            }
            FlowEvent::Closed { flow } => {
                client.sending.retain(|(_, id)| *id != flow);
                if client.sending.is_empty()
                    && let Some(closing) = client.closing()
                {
                    if let Some(flow) = closing.control_flow.take() {
                        let _ = turn.endpoint.with_flows(now, session, |flows| flows.reject(RecvFlowId(flow), 0));
                    }
                    self.agenda.closing.insert(now + EXCEPTION_TIMEOUT, session);
                }
            }
            FlowEvent::Dropped { .. } => {
                client.count_dropped(turn.counters());
            }
            FlowEvent::Writable { .. } | FlowEvent::Delivered { .. } => (),
        }
        // The client is charged for what its own messages lead to, and not for work that others cause.
        work += self.agenda.actions.iter().map(costs::of_action).fold(0, u32::saturating_add);
        if work > 0 {
            turn.endpoint.charge(session, work);
        }
        self.perform_actions(turn, session);
    }

    /// Closes a client that has moved to an address that the access rules deny. A client that waits to be accepted is checked
    /// when it is accepted.
    fn close_if_denied(&mut self, turn: &mut Turn<'_>, session: SessionId, to: SocketAddr) {
        let Some((_, seat)) = self.place(session) else { return };
        if seat.instance().permits(to.ip()) {
            return;
        }
        let app = seat.instance().name();
        tracing::info!(%session, address = %to, %app, "client has moved to an address that the access rules deny: closed");
        let Rejection { code, description, .. } = apps::Refusal::Access(to.ip()).to_rejection();
        self.close_with(turn, session, Level::Error, &code, &description, ACCESS_DENIED);
    }

    /// Handles that a client causes more work than it may.
    pub(super) fn overspent(&mut self, turn: &mut Turn<'_>, session: SessionId, is_persistent: bool) {
        let now = turn.now;
        let address = turn.endpoint.session(session).map(|info| info.far_address);
        if !is_persistent {
            turn.counters().add(Counter::ClientsSlowed);
            tracing::info!(%session, ?address, "client makes more work than MaxSessionWork allows: what it sends is dropped for a while");
            return;
        }
        let Some(client) = self.clients.get(&session) else {
            // The session has opened no flow, so there is no client to tell.
            turn.endpoint.close(now, session);
            return;
        };
        if !client.is_closing() {
            tracing::info!(%session, ?address, "client goes on making more work than MaxSessionWork allows: closed");
            let code = "NetConnection.Connect.Closed";
            let description = "Too much work for the server.";
            self.close_with(turn, session, Level::Error, code, description, TOO_MUCH_WORK);
        }
        // A connection that was never established is not closed by `close_with`.
        self.agenda.closing.insert(now + CLOSE_TIMEOUT, session);
    }
}

/// Logs that a client is gone, and writes it into the story if the client had been accepted.
fn gone(turn: &Turn<'_>, session: SessionId, client: &Client, reason: CloseReason) {
    let Ending { by, reason } = client.ending().cloned().unwrap_or_else(|| Ending::of_session(reason));
    let known = client.place.as_ref().and_then(|(peer, _)| turn.services().directory.lookup(peer));
    let address = known.filter(|known| known.owner == session).map(|known| known.observed);
    let peer = client.place.as_ref().map(|(peer, _)| *peer);
    let place = client.place.as_ref().map(|(_, seat)| seat.instance().shared_name());
    let was_accepted = client.accepted.is_some();
    tracing::info!(
        %session,
        peer = peer.map(tracing::field::display),
        address = address.map(tracing::field::display),
        application = place.as_ref().map(|place| tracing::field::display(&place.application)),
        instance = place.as_ref().map(|place| tracing::field::display(&place.instance)),
        %reason,
        %by,
        was_accepted,
        "client gone"
    );
    if was_accepted {
        turn.info
            .tell(StoryEvent::new(turn.now, EventKind::Disconnect { reason, by }).of(peer, address).in_place(place));
    }
}

#[cfg(test)]
mod tests;
