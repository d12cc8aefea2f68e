//! The groups that clients join, and what members are told of each other.

use std::sync::Arc;

use rtmfp::flow::{Delivery, FlowOptions, RecvFlowId};
use rtmfp::{PeerId, SessionId};

use super::client::{Client, client_id};
use super::client_groups::{ClientGroups, Membership};
use super::client_turn::ClientTurn;
use super::table::Clients;
use crate::apps::{AppInstance, Seat};
use crate::groups::bootstrap::Hint;
use crate::groups::membership::TooManyGroups;
use crate::introducer::{Counter, Directory, WorkerCounters};
use crate::serve::asked::AskedApplication;
use crate::serve::mail::{Mail, MailSender};
use crate::serve::turn::{Turn, WorkerInfo};
use introd_config::JoinLeaveMode;
use introd_flash::metadata::FlowKind;
use introd_native::{GroupChange, InstancePath};
use introd_netgroup::GroupDigest;
use introd_netgroup::channel::{self, JoinRefused};
use introd_policy::Verdict;
use introd_policy::decision::{JoinDecision, JoinInput, JoinStep};
use introd_policy::message::AppEvent;

/// What follows from a client's joining and leaving.
struct Bookkeeping<'a> {
    instance: &'a Arc<AppInstance>,
    peer: PeerId,
    session: SessionId,
    counters: &'a WorkerCounters,
    mailboxes: &'a [MailSender],
    directory: &'a Directory,
}

impl<'a> Bookkeeping<'a> {
    fn new(place: Option<&'a (PeerId, Seat)>, session: SessionId, info: &'a WorkerInfo) -> Option<Self> {
        let (peer, seat) = place?;
        Some(Self {
            instance: seat.instance(),
            peer: *peer,
            session,
            counters: info.counters(),
            mailboxes: &info.mailboxes,
            directory: &info.services.directory,
        })
    }

    /// Enters that the client is in a group, and has members told of each other: by the application's policy, or by the built-in
    /// bootstrap, which tells the newcomer of its neighbours, and them of it.
    fn join(&self, groups: &mut ClientGroups, group: GroupDigest) -> Result<(), TooManyGroups> {
        let is_entered = self.instance.with_groups(|all| match all.handle(&group, &self.peer) {
            Some(other) if other != self.session && !self.holds_id() => Ok(false),
            _ => all.join(group, self.peer, self.session).map(|_| true),
        })?;
        groups.joined += 1;
        let number = groups.joined;
        if !is_entered {
            let membership =
                Membership { number, group, sending: None, is_told: false, is_handled: false, is_waiting: true };
            groups.memberships.push(membership);
            return Ok(());
        }
        self.counters.add(Counter::GroupJoins);
        let JoinOutcome { is_told, is_handled, is_built_in } = self.decide(number, group);
        groups.memberships.push(Membership { number, group, sending: None, is_told, is_handled, is_waiting: false });
        let mut hints = Vec::new();
        if is_built_in {
            self.instance.with_groups(|all| all.hints_for_newcomer(&group, self.peer, &mut hints));
        }
        let (session, peer) = (self.session, self.peer);
        tracing::debug!(%session, %peer, %group, is_told, hints = hints.len(), "joined a group");
        self.send(group, hints);
        Ok(())
    }

    /// Whether the client is the one that is found by its id.
    fn holds_id(&self) -> bool {
        self.directory.lookup(&self.peer).is_some_and(|known| known.owner == self.session)
    }

    /// Enters that the client is in a group no more, and has those told of each other whom that makes neighbours.
    fn leave(&self, membership: &Membership) {
        if membership.is_waiting {
            return;
        }
        let group = membership.group;
        let is_built_in = self.instance.settings().join_leave_events == JoinLeaveMode::None && !membership.is_handled;
        let mut hints = Vec::new();
        self.instance.with_groups(|all| {
            // It may be in the group still by another session.
            if all.leave(&group, &self.peer, self.session) && is_built_in {
                all.hints_after_leave(&group, self.peer, &mut hints);
            }
        });
        self.counters.add(Counter::GroupLeaves);
        self.tell_plugins_of_leave(group);
        if membership.is_told
            && let Some(script) = self.instance.actor()
        {
            let (client, groupspec_digest) = (client_id(self.session), group.0);
            let event = AppEvent::GroupLeave { client, membership: membership.number, groupspec_digest };
            if script.tell(event).is_err() {
                self.counters.add(Counter::ApplicationBusy);
            }
        }
        self.send(group, hints);
    }

    /// Asks the policies of the application who names members to the newcomer.
    fn decide(&self, membership: u64, group: GroupDigest) -> JoinOutcome {
        let mode = self.instance.settings().join_leave_events;
        let application = AskedApplication::of(self.instance, 0);
        let mut decision = JoinDecision::new(application.clone(), mode);
        let mut outcome = JoinOutcome::default();
        let mut input = JoinInput::Begin;
        loop {
            input = JoinInput::Verdict(match decision.advance(input) {
                JoinStep::AskPlugin(index) => {
                    let Some(plugin) = application.plugin(index) else { return outcome };
                    let verdict = self.with_change(group, |change| plugin.group_join(change));
                    outcome.is_handled = verdict != Verdict::Continue;
                    verdict
                }
                JoinStep::TellScript => {
                    outcome.is_handled = false;
                    match self.tell_of_join(membership, group) {
                        Ok(()) => {
                            outcome.is_told = true;
                            Verdict::Handled
                        }
                        Err(why) => Verdict::Failed(why.to_owned()),
                    }
                }
                JoinStep::Bootstrap => {
                    outcome.is_handled = false;
                    return JoinOutcome { is_built_in: true, ..outcome };
                }
                JoinStep::LeaveAlone => return outcome,
            });
        }
    }

    fn tell_plugins_of_leave(&self, group: GroupDigest) {
        let plugins = self.instance.plugins();
        if !plugins.is_empty() {
            self.with_change(group, |change| plugins.iter().for_each(|plugin| plugin.group_leave(change)));
        }
    }

    /// What plugins are told of a change, for as long as `work` runs.
    fn with_change<R>(&self, group: GroupDigest, work: impl FnOnce(&GroupChange<'_>) -> R) -> R {
        let members = self.instance.with_groups(|all| all.size(&group));
        let choose = |choice, max| self.instance.with_groups(|all| all.choose(&group, &self.peer, choice, max));
        work(&GroupChange {
            group,
            session: self.session,
            peer: self.peer,
            place: InstancePath::from(self.instance.name()),
            members: members as u64,
            choose: &choose,
        })
    }

    fn tell_of_join(&self, membership: u64, group: GroupDigest) -> Result<(), &'static str> {
        // The settings leave the groups to a script that the application does not have.
        let Some(script) = self.instance.actor() else { return Err("the application has no script") };
        let event = AppEvent::GroupJoin { client: client_id(self.session), membership, groupspec_digest: group.0 };
        script.tell(event).map_err(|_| {
            self.counters.add(Counter::ApplicationBusy);
            "the application is busy"
        })
    }

    fn send(&self, group: GroupDigest, hints: Vec<Hint<SessionId>>) {
        for Hint { handle: session, about, .. } in hints {
            let Some(mailbox) = self.mailboxes.get(usize::from(session.prefix())) else { continue };
            if mailbox.try_send(Mail::Hint { session, group, about }).is_err() {
                self.counters.add(Counter::MailboxFull);
            }
        }
    }
}

/// What the decision about a join came to.
#[derive(Clone, Copy, Debug, Default)]
struct JoinOutcome {
    /// The script was told of the membership, and is to be told of its end.
    is_told: bool,
    /// A plugin has named all members that are to be named, or failed to.
    is_handled: bool,
    /// Members are named as is built in.
    is_built_in: bool,
}

/// Why a client is not let into a group.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Channel(#[from] JoinRefused),
    #[error(transparent)]
    Membership(#[from] TooManyGroups),
}

impl ClientTurn<'_, '_> {
    /// A client says something on a group control flow. What is no join rejects the flow, and nothing else.
    pub(super) fn group_message(&mut self, client: &mut Client, flow: u64, message: &[u8]) {
        let (now, session) = (self.turn.now, self.session);
        if let Err(refusal) = self.join_or_leave(client, flow, message) {
            if let Some((info, (_, seat))) = self.turn.endpoint.session(session).zip(client.place.as_ref()) {
                introd_log::refused("group join", info.far_address, seat.instance().name(), "the server", &refusal);
            }
            self.turn.counters().add(Counter::GroupJoinsRefused);
            let _ = self.turn.endpoint.with_flows(now, session, |flows| flows.reject(RecvFlowId(flow), 0));
            // No more is heard of it. What it had joined is left by the action that this leads to.
            client.connection.on_flow_closed(flow, &mut self.agenda.actions);
        }
    }

    fn join_or_leave(&mut self, client: &mut Client, flow: u64, message: &[u8]) -> Result<(), Refusal> {
        let now = self.turn.now;
        let groups = client.groups.get_or_insert_with(|| Box::new(ClientGroups::new(now)));
        let change = groups.channels.on_message(now, flow, message)?;
        let bookkeeping = Bookkeeping::new(client.place.as_ref(), self.session, self.turn.info);
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

    /// A client leaves what it joined on that flow.
    pub(super) fn group_flow_closed(&mut self, client: &mut Client, flow: u64) {
        let Some(groups) = &mut client.groups else { return };
        let left = groups.channels.on_flow_closed(flow).left;
        // There is no membership if the group was not to be had.
        let Some(membership) = left.and_then(|group| groups.take(&group)) else { return };
        self.close_sending(&membership);
        let place = client.place.as_ref();
        if let Some(bookkeeping) = Bookkeeping::new(place, self.session, self.turn.info) {
            bookkeeping.leave(&membership);
        }
    }

    fn close_sending(&mut self, membership: &Membership) {
        if let Some(own) = membership.sending {
            let _ = self.turn.endpoint.with_flows(self.turn.now, self.session, |flows| flows.close(own));
        }
    }

    /// The application's policy names a peer to a member of a group.
    pub(super) fn hint_by_policy(&mut self, client: &mut Client, membership: u64, about: &PeerId) {
        let Some(groups) = &mut client.groups else { return };
        if let Some(group) = groups.group_of(membership) {
            hint(self.turn, self.session, groups, &group, about);
        }
    }
}

impl Clients {
    /// A client is gone, and so from its groups.
    pub(super) fn leave_all_groups(&mut self, info: &WorkerInfo, session: SessionId) {
        let Some(client) = self.clients.get_mut(&session) else { return };
        let Some(mut groups) = client.groups.take() else { return };
        let place = client.place.as_ref();
        if let Some(bookkeeping) = Bookkeeping::new(place, session, info) {
            groups.memberships.drain(..).for_each(|membership| bookkeeping.leave(&membership));
        }
    }

    /// A client holds its id now, which another session held: where that was in a group by the id, the client is from now on.
    pub(super) fn enter_groups(&mut self, info: &WorkerInfo, session: SessionId, peer: PeerId) {
        let Some(client) = self.clients.get_mut(&session) else { return };
        let Some(groups) = &mut client.groups else { return };
        let place = client.place.as_ref().filter(|(own, _)| *own == peer);
        let Some(bookkeeping) = Bookkeeping::new(place, session, info) else { return };
        for membership in std::mem::take(&mut groups.memberships) {
            let group = membership.group;
            if membership.is_waiting {
                // There is a bound to the groups of one id, whatever the sessions: what is over it is waited for no longer.
                let _ = bookkeeping.join(groups, group);
            } else {
                let _ = bookkeeping.instance.with_groups(|all| all.join(group, peer, session));
                groups.memberships.push(membership);
            }
        }
    }

    /// Tells a member of another. One that has left by now is told nothing.
    pub(in crate::serve) fn hint(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionId,
        group: GroupDigest,
        about: &PeerId,
    ) {
        let Some(groups) = self.clients.get_mut(&session).and_then(|client| client.groups.as_deref_mut()) else {
            return;
        };
        hint(turn, session, groups, &group, about);
    }
}

/// Sends a hint, on the server's own flow for that group.
fn hint(turn: &mut Turn<'_>, session: SessionId, groups: &mut ClientGroups, group: &GroupDigest, about: &PeerId) {
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
        Ok(_) => turn.counters().add(Counter::GroupHints),
        Err(error) => tracing::debug!(%session, %group, %error, "hint not sent"),
    }
}

#[cfg(test)]
mod tests;
