//! Handles the events of clients' sessions: flows, changes of address, the end.

use std::net::SocketAddr;

use introd_flash::command::Level;
use introd_flash::server::{FlowVerdict, Rejection};
use introd_policy::message::AppEvent;
use rtmfp::flow::{FlowEvent, RecvFlowId};
use rtmfp::{Event, Refusal, SessionId};

use super::agenda::{CLOSE_TIMEOUT, EXCEPTION_TIMEOUT};
use super::client::Client;
use super::costs;
use super::table::Clients;
use crate::apps;
use crate::introducer::Counter;
use crate::serve::turn::Turn;

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
                self.leave_all_groups(turn.info, session);
                self.forget_silence(session);
                self.tell_script(turn, session, |client| AppEvent::Disconnect { client });
                self.cancel_connect(turn, session, &reason.to_string());
                self.tell_plugins_gone(session, &reason.to_string());
                if let Some(client) = self.clients.remove(&session) {
                    let was_connected = client.connection.is_connected();
                    if client.accepted.is_some() {
                        turn.counters().add(Counter::Disconnects);
                        if let Some((_, seat)) = &client.place {
                            seat.instance().traffic().disconnected();
                        }
                    }
                    let peer = client.place.as_ref().map(|(peer, _)| tracing::field::display(*peer));
                    let app = client.place.as_ref().map(|(_, seat)| tracing::field::display(seat.instance().name()));
                    tracing::info!(%session, peer, app, %reason, was_connected, "client gone");
                    if let Some((peer, _)) = client.place {
                        self.give_up_id(turn.info, peer, session, client.is_proven);
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

    fn handle_flow(&mut self, turn: &mut Turn<'_>, session: SessionId, event: FlowEvent) {
        let now = turn.now;
        let settings = &turn.services().connection;
        let client = self.clients.entry(session).or_insert_with(|| Box::new(Client::new(settings, now)));
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
                client.active = now;
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
                    && let Some(closing) = &mut client.closing
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
        self.close_with(turn, session, Level::Error, &code, &description);
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
        if client.closing.is_none() {
            tracing::info!(%session, ?address, "client goes on making more work than MaxSessionWork allows: closed");
            let code = "NetConnection.Connect.Closed";
            self.close_with(turn, session, Level::Error, code, "Too much work for the server.");
        }
        // A connection that was never established is not closed by `close_with`.
        self.agenda.closing.insert(now + CLOSE_TIMEOUT, session);
    }
}

#[cfg(test)]
mod tests;
