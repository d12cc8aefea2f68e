//! Follows what comes of lookups: whether the asker meets its target, and what the story of both has of it.

use std::borrow::Cow;
use std::time::Instant;

use introd_policy::Peer;
use introd_policy::decision::PolicyKind;
use introd_relay::Client;
use rtmfp::TaggedAddress;

use super::{Decision, Lookups};
use crate::meetings::{Attempt, DecidingPolicy, Ends, Followed, LookupAnswer, NatKind, Outcome};
use crate::serve::clients::Clients;
use crate::serve::turn::Turn;
use crate::stories::{Event, EventKind, cut};

/// What the server did about a lookup.
pub(super) struct Executed<'a> {
    pub(super) answer: LookupAnswer,
    /// The target, if the asker was introduced to it here.
    pub(super) target: Option<&'a Peer>,
    pub(super) redirected_to: &'a [TaggedAddress],
    pub(super) reason: Option<Cow<'static, str>>,
    pub(super) is_forwarded: Option<bool>,
}

impl Executed<'_> {
    pub(super) fn new(answer: LookupAnswer) -> Self {
        Self { answer, target: None, redirected_to: &[], reason: None, is_forwarded: Some(false) }
    }
}

impl Lookups {
    /// Notes what was done about a lookup that came at `begun`.
    pub(super) fn follow(
        &mut self,
        turn: &Turn<'_>,
        clients: &Clients,
        decision: &Decision,
        done: &Executed<'_>,
        begun: Instant,
    ) {
        let (services, worker, lookup) = (turn.services(), turn.info.index, decision.lookup());
        let policy = deciding_policy(decision);
        services.verdicts.add(worker, policy, done.answer);
        // An asker with a session has proven its address.
        let is_proven = lookup.asker.is_some();
        let ends = || ends(turn, clients, decision, done);
        let (attempt, has_given_up) = match self.attempts.answered(turn.now, lookup, done.answer, is_proven, ends) {
            Followed::New(attempt) | Followed::Repeated(attempt) => (attempt, false),
            Followed::GivenUp(attempt) => (attempt, true),
            Followed::Copy => return,
            Followed::NoRoom => return services.meetings.add_not_followed(worker),
        };
        let place =
            || attempt.ends.application.clone().or_else(|| Some(decision.application().instance()?.shared_name()));
        let event = EventKind::Lookup {
            target: lookup.target,
            answer: done.answer,
            policy: policy.text().into(),
            reason: done.reason.clone().map(cut),
            took: turn.now.saturating_duration_since(begun),
            times: attempt.times,
            redirected_to: done.redirected_to.iter().map(|tagged| tagged.address).collect(),
            is_forwarded: done.is_forwarded,
        };
        if is_told(attempt.times) {
            turn.info.tell(Event::new(turn.now, event).of(attempt.ends.asker, lookup.initiator).in_place(place()));
        }
        if has_given_up {
            let Ends { asker_nat, target_nat, .. } = attempt.ends;
            services.meetings.add(worker, Outcome::GivenUp, asker_nat, target_nat);
            turn.info.tell(unmet(turn.now, attempt, false));
        }
        services.meetings.set_under_way(worker, self.attempts.len());
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub(in crate::serve) fn next_timeout(&self) -> Option<Instant> {
        self.attempts.next_timeout()
    }

    /// Settles the attempts that are quiet.
    pub(in crate::serve) fn handle_timeout(&mut self, turn: &Turn<'_>) {
        let (meetings, worker) = (&turn.services().meetings, turn.info.index);
        self.attempts.sweep(turn.now, |attempt, outcome| {
            let is_relayed = has_met_by_relay(turn, attempt);
            let outcome = outcome.map(|outcome| if is_relayed { Outcome::Relayed } else { outcome });
            if let Some(outcome) = outcome {
                meetings.add(worker, outcome, attempt.ends.asker_nat, attempt.ends.target_nat);
            }
            match outcome {
                // One that has counted as given up may have met by the relay later.
                None if !is_relayed => turn.info.tell(unmet(turn.now, attempt, true)),
                None | Some(Outcome::Met | Outcome::Repeated | Outcome::Relayed) => {
                    let kind = EventKind::Met { target: attempt.target, times: attempt.times, is_relayed };
                    turn.info.tell(of_attempt(turn.now, attempt, kind));
                }
                Some(Outcome::GivenUp | Outcome::NotIntroduced(_)) => (),
            }
        });
        meetings.set_under_way(worker, self.attempts.len());
    }
}

/// Whether the two of an attempt were offered a relay, and have a session by that.
fn has_met_by_relay(turn: &Turn<'_>, attempt: &Attempt) -> bool {
    let (Some(LookupAnswer::Relayed), Some(target)) = (attempt.answer, attempt.target) else { return false };
    let asker = attempt.ends.asker.map_or(Client::Stranger(attempt.address), Client::Peer);
    let relay = turn.services().relay.as_ref();
    relay.is_some_and(|relay| relay.is_open_between(&asker, &Client::Peer(target)))
}

/// The policy that decided.
pub(super) fn deciding_policy(decision: &Decision) -> DecidingPolicy<'_> {
    let decider = decision.decider();
    match decider.kind {
        PolicyKind::Server => DecidingPolicy::Server,
        PolicyKind::Script => DecidingPolicy::Script,
        PolicyKind::Registry => DecidingPolicy::Registry,
        PolicyKind::Plugin => {
            let plugin = decider.plugin.and_then(|index| decision.application().plugin(index));
            DecidingPolicy::Plugin(plugin.map_or("plugin", |plugin| plugin.library().name()))
        }
    }
}

/// Whether the story has a repeated lookup: the first ones, and then fewer and fewer, because an asker may repeat its hello for as long as it likes.
fn is_told(times: u16) -> bool {
    times <= 4 || times.is_power_of_two()
}

fn of_attempt(now: Instant, attempt: &Attempt, kind: EventKind) -> Event {
    Event::new(now, kind).of(attempt.ends.asker, attempt.address).in_place(attempt.ends.application.clone())
}

fn unmet(now: Instant, attempt: &Attempt, is_over: bool) -> Event {
    let Ends { asker_nat, target_nat, .. } = attempt.ends;
    let kind = EventKind::Unmet { target: attempt.target, times: attempt.times, asker_nat, target_nat, is_over };
    of_attempt(now, attempt, kind)
}

/// Who wants to meet, and through what NATs.
fn ends(turn: &Turn<'_>, clients: &Clients, decision: &Decision, done: &Executed<'_>) -> Ends {
    let lookup = decision.lookup();
    let asker = lookup.asker.and_then(|asker| clients.end(asker));
    let asker_nat = asker.as_ref().map_or_else(|| NatKind::of(lookup.initiator, &[]), |(_, _, nat)| *nat);
    let of = |peer: &Peer| (NatKind::of(peer.observed, &peer.reported), peer.observed.ip());
    // A target to which a policy redirects may be connected here as well.
    let known = || turn.services().directory.lookup(&lookup.target?).map(|peer| of(&peer));
    let target = done.target.map(of).or_else(|| known().filter(|_| done.answer.is_introduction()));
    let (asker_nat, target_nat) = match target {
        Some(target) => NatKind::of_pair((asker_nat, lookup.initiator.ip()), target),
        None => (asker_nat, NatKind::Unknown),
    };
    let (asker, application) = asker.map(|(peer, application, _)| (peer, application)).unzip();
    Ends { asker, application, asker_nat, target_nat }
}
