//! The groups that clients join, and what members are told of each other.

use std::sync::Arc;
use std::time::Instant;

use rtmfp::flow::{Delivery, FlowOptions, RecvFlowId, SendFlowId};
use rtmfp::{Endpoint, PeerId, SessionId};

use super::acting::Acting;
use super::{Client, Clients};
use crate::apps::Instance;
use crate::config::JoinLeaveMode;
use crate::flash::metadata::FlowKind;
use crate::groups::GroupDigest;
use crate::groups::bootstrap::Hint;
use crate::groups::channel::{self, Change, GroupChannels, Limits};
use crate::introducer::{Counter, WorkerCounters};
use crate::net::mail::{Mail, MailSender};

/// A client's groups.
pub(super) struct ClientGroups {
    /// Its flows to the server, one for each group.
    channels: GroupChannels,
    /// The server's flows to it, made for the first hint.
    sending: Vec<(GroupDigest, SendFlowId)>,
}

impl ClientGroups {
    fn new(now: Instant) -> Self {
        Self { channels: GroupChannels::new(now, Limits::default()), sending: Vec::new() }
    }

    /// The client does not want a flow of the server's any more.
    pub(super) fn on_rejected(&mut self, flow: SendFlowId) {
        self.sending.retain(|(_, own)| *own != flow);
    }
}

/// What follows from a client's joining and leaving.
struct Bookkeeping<'a> {
    instance: &'a Arc<Instance>,
    peer: PeerId,
    session: SessionId,
    counters: &'a WorkerCounters,
    mailboxes: &'a [MailSender],
}

impl Bookkeeping<'_> {
    /// Enters the change, and has those told whom the built-in bootstrap names: the newcomer of its neighbours, and they of it.
    fn apply(&self, change: Change) {
        let is_built_in = self.instance.settings().join_leave_events == JoinLeaveMode::None;
        if let Some(group) = change.left {
            let hints = self.instance.with_groups(|groups| {
                let mut hints = Vec::new();
                if groups.leave(&group, &self.peer, self.session) {
                    self.counters.add(Counter::GroupLeaves);
                    if is_built_in {
                        groups.hints_after_leave(&group, self.peer, &mut hints);
                    }
                }
                hints
            });
            self.send(group, hints);
        }
        if let Some(group) = change.joined {
            let hints = self.instance.with_groups(|groups| {
                let mut hints = Vec::new();
                if groups.join(group, self.peer, self.session).is_ok() {
                    self.counters.add(Counter::GroupJoins);
                    if is_built_in {
                        groups.hints_for_newcomer(&group, self.peer, &mut hints);
                    }
                }
                hints
            });
            tracing::debug!(session = %self.session, peer = %self.peer, %group, hints = hints.len(), "joined a group");
            self.send(group, hints);
        }
    }

    fn send(&self, group: GroupDigest, hints: Vec<Hint<SessionId>>) {
        for Hint { handle: session, about, .. } in hints {
            let mail = Mail::Hint { session, group, about };
            let Some(mailbox) = self.mailboxes.get(usize::from(session.prefix())) else { continue };
            if mailbox.try_send(mail).is_err() {
                self.counters.add(Counter::MailboxFull);
            }
        }
    }
}

impl Acting<'_> {
    fn bookkeeping<'b>(&'b self, client: &'b Client) -> Option<Bookkeeping<'b>> {
        let (peer, seat) = client.place.as_ref()?;
        Some(Bookkeeping {
            instance: seat.instance(),
            peer: *peer,
            session: self.session,
            counters: self.services.counters.worker(self.session.prefix()),
            mailboxes: self.mailboxes,
        })
    }

    /// A client says something on a group control flow. What is no join rejects the flow, and nothing else.
    pub(super) fn group_message(&mut self, client: &mut Client, flow: u64, message: &[u8]) {
        let (now, session) = (self.now, self.session);
        let groups = client.groups.get_or_insert_with(|| Box::new(ClientGroups::new(now)));
        match groups.channels.on_message(now, flow, message) {
            Ok(change) => {
                if let Some(bookkeeping) = self.bookkeeping(client) {
                    bookkeeping.apply(change);
                }
            }
            Err(refusal) => {
                tracing::debug!(%session, flow, %refusal, "group control flow rejected");
                let _ = self.endpoint.with_flows(now, session, |flows| flows.reject(RecvFlowId(flow), 0));
                self.group_flow_closed(client, flow);
            }
        }
    }

    /// A client leaves what it joined on that flow.
    pub(super) fn group_flow_closed(&mut self, client: &mut Client, flow: u64) {
        let Some(groups) = &mut client.groups else { return };
        let change = groups.channels.on_flow_closed(flow);
        if let Some(group) = change.left {
            let (now, session) = (self.now, self.session);
            for (_, own) in groups.sending.extract_if(.., |(of, _)| *of == group) {
                let _ = self.endpoint.with_flows(now, session, |flows| flows.close(own));
            }
        }
        if let Some(bookkeeping) = self.bookkeeping(client) {
            bookkeeping.apply(change);
        }
    }
}

impl Clients {
    /// A client is gone, and so from its groups.
    pub(super) fn leave_all_groups(&mut self, session: SessionId) {
        let Some(client) = self.clients.get_mut(&session) else { return };
        let (Some(groups), Some((peer, seat))) = (&mut client.groups, &client.place) else { return };
        let bookkeeping = Bookkeeping {
            instance: seat.instance(),
            peer: *peer,
            session,
            counters: self.services.counters.worker(session.prefix()),
            mailboxes: &self.mailboxes,
        };
        for group in groups.channels.close() {
            bookkeeping.apply(Change { left: Some(group), joined: None });
        }
    }

    /// Tells a member of another. One that has left by now is told nothing.
    pub(in crate::net) fn hint(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        session: SessionId,
        group: GroupDigest,
        about: &PeerId,
    ) {
        let Some(groups) = self.clients.get_mut(&session).and_then(|client| client.groups.as_deref_mut()) else {
            return;
        };
        let Some(return_of) = groups.channels.flow_of(&group) else { return };
        let known = groups.sending.iter().find(|(of, _)| *of == group).map(|(_, flow)| *flow);
        let flow = known.map_or_else(
            || {
                let options = FlowOptions { return_of: Some(RecvFlowId(return_of)), ..FlowOptions::default() };
                endpoint.open_flow(now, session, &FlowKind::GroupControl.metadata(), options)
            },
            Ok,
        );
        let sent = flow.and_then(|flow| {
            if known.is_none() {
                groups.sending.push((group, flow));
            }
            endpoint.send(now, session, flow, channel::hint(about).to_vec(), Delivery::default())
        });
        if let Err(error) = sent {
            tracing::debug!(%session, %group, %error, "hint not sent");
        }
    }
}
