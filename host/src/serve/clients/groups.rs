//! Handles clients' messages on group control flows, and sends members hints.

use rtmfp::flow::{Delivery, FlowOptions, RecvFlowId};
use rtmfp::{PeerId, SessionId};

use super::bookkeeping::Bookkeeping;
use super::client::Client;
use super::client_groups::{ClientGroups, Membership};
use super::client_turn::ClientTurn;
use super::ending::THE_SERVER;
use super::table::Clients;
use crate::apps::Seat;
use crate::groups::membership::TooManyGroups;
use crate::introducer::Counter;
use crate::serve::turn::Turn;
use crate::stories::{Event, EventKind, cut};
use introd_flash::metadata::FlowKind;
use introd_log::Refused;
use introd_netgroup::GroupDigest;
use introd_netgroup::channel::{self, JoinRefused};

/// Why a client may not join a group.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Channel(#[from] JoinRefused),
    #[error(transparent)]
    Membership(#[from] TooManyGroups),
}

impl ClientTurn<'_, '_> {
    /// Handles a client's message on a group control flow. A message that is no join leads to a rejected flow, and to nothing else.
    pub(super) fn group_message(&mut self, client: &mut Client, flow: u64, message: &[u8]) {
        let (now, session) = (self.turn.now, self.session);
        if let Err(refusal) = self.join_or_leave(client, flow, message) {
            if let Some((info, (_, seat))) = self.turn.endpoint.session(session).zip(client.place.as_ref()) {
                let place = seat.instance().name();
                Refused {
                    what: "group join",
                    address: info.far_address,
                    peer: Some(&info.peer_id),
                    application: &place.application,
                    instance: &place.instance,
                    policy: THE_SERVER,
                    reason: &refusal,
                }
                .log();
                let kind = EventKind::GroupRefused { reason: cut(refusal.to_string()) };
                let event = Event::new(now, kind).of(info.peer_id, info.far_address);
                self.turn.info.tell(event.in_place(seat.instance().shared_name()));
            }
            self.turn.counters().add(Counter::GroupJoinsRefused);
            let _ = self.turn.endpoint.with_flows(now, session, |flows| flows.reject(RecvFlowId(flow), 0));
            // No further message comes on the flow. The action that follows leaves the group that was joined on it.
            client.connection.on_flow_closed(flow, &mut self.agenda.actions);
        }
    }

    fn join_or_leave(&mut self, client: &mut Client, flow: u64, message: &[u8]) -> Result<(), Refusal> {
        let now = self.turn.now;
        let groups = client.groups.get_or_insert_with(|| Box::new(ClientGroups::new(now)));
        let change = groups.channels.on_message(now, flow, message)?;
        let bookkeeping = Bookkeeping::new(client.place.as_ref(), self.session, self.turn.info, now);
        let Some(bookkeeping) = bookkeeping else { return Ok(()) };
        if let Some(membership) = change.left.and_then(|group| groups.take(&group)) {
            self.close_sending(&membership);
            bookkeeping.leave(&membership);
        }
        if let Some(group) = change.joined {
            bookkeeping.join(groups, group)?;
        }
        Ok(())
    }

    /// Leaves the group that the client joined on that flow.
    pub(super) fn group_flow_closed(&mut self, client: &mut Client, flow: u64) {
        let Some(groups) = &mut client.groups else { return };
        let left = groups.channels.on_flow_closed(flow).left;
        // There is no membership if the join was refused.
        let Some(membership) = left.and_then(|group| groups.take(&group)) else { return };
        self.close_sending(&membership);
        let place = client.place.as_ref();
        if let Some(bookkeeping) = Bookkeeping::new(place, self.session, self.turn.info, self.turn.now) {
            bookkeeping.leave(&membership);
        }
    }

    fn close_sending(&mut self, membership: &Membership) {
        if let Some(own) = membership.sending {
            let _ = self.turn.endpoint.with_flows(self.turn.now, self.session, |flows| flows.close(own));
        }
    }

    /// Sends the client a hint that the application's policy names.
    pub(super) fn hint_by_policy(&mut self, client: &mut Client, membership: u64, about: &PeerId) {
        let Some(groups) = &mut client.groups else { return };
        if let Some(group) = groups.group_of(membership) {
            hint(self.turn, self.session, client.place.as_ref(), groups, &group, about);
        }
    }
}

impl Clients {
    /// Removes a client that is gone from its groups.
    pub(super) fn leave_all_groups(&mut self, turn: &Turn<'_>, session: SessionId) {
        let Some(client) = self.clients.get_mut(&session) else { return };
        let Some(mut groups) = client.groups.take() else { return };
        let place = client.place.as_ref();
        if let Some(bookkeeping) = Bookkeeping::new(place, session, turn.info, turn.now) {
            groups.memberships.drain(..).for_each(|membership| bookkeeping.leave(&membership));
        }
    }

    /// Handles that a client holds its id now, which another session held before: it replaces that session as a member of groups.
    pub(super) fn enter_groups(&mut self, turn: &Turn<'_>, session: SessionId, peer: PeerId) {
        let Some(client) = self.clients.get_mut(&session) else { return };
        let Some(groups) = &mut client.groups else { return };
        let place = client.place.as_ref().filter(|(own, _)| *own == peer);
        let Some(bookkeeping) = Bookkeeping::new(place, session, turn.info, turn.now) else { return };
        for membership in std::mem::take(&mut groups.memberships) {
            let group = membership.group;
            if membership.is_waiting {
                // The number of groups of one id is bounded, whatever the sessions: memberships over the bound are dropped.
                let _ = bookkeeping.join(groups, group);
            } else {
                bookkeeping.rejoin(&membership);
                groups.memberships.push(membership);
            }
        }
    }

    /// Sends a member a hint that names another, unless it has left by now.
    pub(in crate::serve) fn hint(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionId,
        group: GroupDigest,
        about: &PeerId,
    ) {
        let Some(client) = self.clients.get_mut(&session) else { return };
        let Some(groups) = &mut client.groups else { return };
        hint(turn, session, client.place.as_ref(), groups, &group, about);
    }
}

/// Sends a hint, on the server's own flow for that group.
fn hint(
    turn: &mut Turn<'_>,
    session: SessionId,
    place: Option<&(PeerId, Seat)>,
    groups: &mut ClientGroups,
    group: &GroupDigest,
    about: &PeerId,
) {
    let now = turn.now;
    let Some(return_of) = groups.channels.flow_of(group) else { return };
    let Some(membership) = groups.memberships.iter_mut().find(|membership| membership.group == *group) else { return };
    let flow = membership.sending.map_or_else(
        || {
            let options = FlowOptions { return_of: Some(RecvFlowId(return_of)), ..FlowOptions::default() };
            turn.endpoint.open_flow(now, session, &FlowKind::GroupControl.metadata(), options)
        },
        Ok,
    );
    let sent = flow.and_then(|flow| {
        membership.sending = Some(flow);
        turn.endpoint.send(now, session, flow, channel::hint(about).to_vec(), Delivery::default())
    });
    match sent {
        Ok(_) => {
            turn.counters().add(Counter::GroupHints);
            let event = Event::new(now, EventKind::Hint { group: *group, about: *about });
            let event = event.of(place.map(|(peer, _)| *peer), None);
            turn.info.tell(event.in_place(place.map(|(_, seat)| seat.instance().shared_name())));
        }
        Err(error) => tracing::debug!(%session, %group, %error, "hint not sent"),
    }
}

#[cfg(test)]
mod tests;
