//! A client's joins and leaves of groups: the membership tables, the policies that are asked, and the members that are told of each
//! other.

use std::sync::Arc;
use std::time::Instant;

use rtmfp::{PeerId, SessionId};

use super::client::client_id;
use super::client_groups::{ClientGroups, Membership};
use crate::apps::{AppInstance, Seat};
use crate::groups::bootstrap::Hint;
use crate::groups::membership::TooManyGroups;
use crate::groups::{Memberships, SharedGroups};
use crate::introducer::{Counter, Directory, WorkerCounters};
use crate::serve::asked::AskedApplication;
use crate::serve::mail::{Mail, MailSender};
use crate::serve::turn::WorkerInfo;
use crate::stories::{Event, EventKind, Stories};
use introd_config::JoinLeaveMode;
use introd_native::{GroupChange, InstancePath};
use introd_netgroup::{GroupDigest, GroupKey};
use introd_policy::Verdict;
use introd_policy::decision::{JoinDecision, JoinInput, JoinStep};
use introd_policy::message::AppEvent;

/// Enters joins and leaves of one client, decides about joins, and tells plugins, scripts and members of them.
pub(super) struct Bookkeeping<'a> {
    pub(super) instance: &'a Arc<AppInstance>,
    peer: PeerId,
    session: SessionId,
    counters: &'a WorkerCounters,
    mailboxes: &'a [MailSender],
    directory: &'a Directory,
    pub(super) groups: &'a Memberships<SessionId>,
    shared: Option<&'a SharedGroups>,
    stories: &'a Stories,
    worker: u8,
    now: Instant,
}

impl<'a> Bookkeeping<'a> {
    pub(super) fn new(
        place: Option<&'a (PeerId, Seat)>,
        session: SessionId,
        info: &'a WorkerInfo,
        now: Instant,
    ) -> Option<Self> {
        let (peer, seat) = place?;
        Some(Self {
            instance: seat.instance(),
            peer: *peer,
            session,
            counters: info.counters(),
            mailboxes: &info.mailboxes,
            directory: &info.services.directory,
            groups: &info.services.groups,
            shared: info.services.shared_groups.as_ref(),
            stories: &info.services.stories,
            worker: info.index,
            now,
        })
    }

    /// Makes the client a member of a group, and tells members of each other: the application's policy names them, or the built-in
    /// bootstrap, which tells the newcomer of its neighbours, and its neighbours of it.
    pub(super) fn join(&self, groups: &mut ClientGroups, group: GroupDigest) -> Result<(), TooManyGroups> {
        let key = self.instance.group_key(&group);
        let may_replace = |other| other == self.session || self.holds_id();
        let is_entered = self.groups.join_if(key, self.peer, self.session, may_replace)?.is_some();
        groups.joined += 1;
        let number = groups.joined;
        if !is_entered {
            groups.memberships.push(Membership { is_waiting: true, ..Membership::new(number, group, key) });
            return Ok(());
        }
        self.groups.note_digest(&key, group);
        self.counters.add(Counter::GroupJoins);
        self.tell(EventKind::GroupJoin { group });
        let JoinOutcome { is_told, is_handled, is_built_in } = self.decide(number, group, key);
        groups.memberships.push(Membership { is_told, is_handled, is_built_in, ..Membership::new(number, group, key) });
        // Other servers learn of the newcomer, and it of their members.
        self.share(group, key, is_built_in);
        let mut hints = Vec::new();
        if is_built_in {
            self.groups.hints_for_newcomer(&key, self.peer, &mut hints);
        }
        let (session, peer) = (self.session, self.peer);
        tracing::debug!(%session, %peer, %group, is_told, hints = hints.len(), "joined a group");
        self.send(group, hints);
        Ok(())
    }

    /// Takes the client in again as a member by this session, which holds its id now.
    pub(super) fn rejoin(&self, membership: &Membership) {
        if self.groups.join(membership.key, self.peer, self.session).is_ok() {
            self.groups.note_digest(&membership.key, membership.group);
            self.share(membership.group, membership.key, membership.is_built_in);
        }
    }

    /// Has the registry that servers share follow a change of the table.
    fn share(&self, group: GroupDigest, key: GroupKey, is_built_in: bool) {
        if let Some(shared) = self.shared {
            shared.changed(key, group, self.peer, is_built_in);
        }
    }

    /// Whether lookups of the client's id find this session.
    fn holds_id(&self) -> bool {
        self.directory.lookup(&self.peer).is_some_and(|known| known.owner == self.session)
    }

    /// Removes the client from a group, and tells members of each other which become neighbours thereby.
    pub(super) fn leave(&self, membership: &Membership) {
        if membership.is_waiting {
            return;
        }
        let (group, key) = (membership.group, membership.key);
        let is_built_in = self.instance.settings().join_leave_events == JoinLeaveMode::None && !membership.is_handled;
        let mut hints = Vec::new();
        // The peer may still be in the group by another session.
        if self.groups.leave(&key, &self.peer, self.session) {
            self.share(group, key, false);
            if is_built_in {
                self.groups.hints_after_leave(&key, self.peer, &mut hints);
            }
        }
        self.counters.add(Counter::GroupLeaves);
        self.tell(EventKind::GroupLeave { group });
        self.tell_plugins_of_leave(group, key);
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

    fn tell(&self, kind: EventKind) {
        let place = self.instance.shared_name();
        self.stories.write(self.worker, Event::new(self.now, kind).of(self.peer, None).in_place(place));
    }

    /// Asks the policies of the application which of them names members to the newcomer.
    fn decide(&self, membership: u64, group: GroupDigest, key: GroupKey) -> JoinOutcome {
        let mode = self.instance.settings().join_leave_events;
        let application = AskedApplication::of(self.instance, 0);
        let mut decision = JoinDecision::new(application.clone(), mode);
        let mut outcome = JoinOutcome::default();
        let mut input = JoinInput::Begin;
        loop {
            input = JoinInput::Verdict(match decision.advance(input) {
                JoinStep::AskPlugin(index) => {
                    let Some(plugin) = application.plugin(index) else { return outcome };
                    let verdict = self.with_change(group, key, |change| plugin.group_join(change));
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

    fn tell_plugins_of_leave(&self, group: GroupDigest, key: GroupKey) {
        let plugins = self.instance.plugins();
        if !plugins.is_empty() {
            self.with_change(group, key, |change| plugins.iter().for_each(|plugin| plugin.group_leave(change)));
        }
    }

    /// Runs `work` with the change as plugins are told of it. They see the members of their own instance: none if the client joined before
    /// there was a plugin, and has met clients of other instances.
    fn with_change<R>(&self, group: GroupDigest, key: GroupKey, work: impl FnOnce(&GroupChange<'_>) -> R) -> R {
        let is_own = self.instance.group_key(&group) == key;
        let members = if is_own { self.groups.size(&key) } else { 0 };
        let choose = |choice, max| match is_own {
            true => self.groups.choose(&key, &self.peer, choice, max),
            false => Vec::new(),
        };
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

/// The outcome of the decision about a join.
#[derive(Clone, Copy, Debug, Default)]
struct JoinOutcome {
    /// The script was told of the membership, and is to be told of its end.
    is_told: bool,
    /// A plugin has named all members that are to be named, or has failed.
    is_handled: bool,
    /// The built-in bootstrap names members.
    is_built_in: bool,
}

#[cfg(test)]
mod tests;
