//! Executes what was decided about a lookup.

use std::borrow::Cow;
use std::time::Instant;

use introd_log::Refused;
use introd_policy::decision::{Denial, LookupAction, Missing, Unresolved};
use introd_policy::{Addresses, MAX_ADDRESSES, Peer};
use rtmfp::{Lookup, Origin, TaggedAddress};

use super::following::{Executed, deciding_policy};
use super::relaying::{self, Offer};
use super::{Decision, Lookups};
use crate::introducer::site::is_outside;
use crate::introducer::{Counter, introduce};
use crate::meetings::LookupAnswer;
use crate::serve::clients::Clients;
use crate::serve::forwarding::Hello;
use crate::serve::mail::Mail;
use crate::serve::turn::Turn;

impl Lookups {
    /// Executes what was decided about a lookup that came at `begun`.
    pub(super) fn execute(
        &mut self,
        turn: &mut Turn<'_>,
        clients: &mut Clients,
        decision: &Decision,
        action: LookupAction,
        begun: Instant,
    ) {
        let (lookup, counters) = (decision.lookup(), turn.counters());
        let is_late = decision.decider().missing == Some(Missing::Late);
        let mut done = Executed::new(match &action {
            LookupAction::Introduce(_) => LookupAnswer::Introduced,
            LookupAction::Redirect(addresses) if names_server(addresses) => LookupAnswer::SentElsewhere,
            LookupAction::Redirect(_) => LookupAnswer::Redirected,
            LookupAction::Deny(_) | LookupAction::Ignore if is_late => LookupAnswer::LatePolicy,
            LookupAction::Deny(_) => LookupAnswer::Denied,
            LookupAction::Ignore => LookupAnswer::Ignored,
            LookupAction::UnknownTarget => LookupAnswer::UnknownPeer,
            LookupAction::Unresolved(Unresolved::TimedOut) => LookupAnswer::LatePolicy,
            LookupAction::Unanswered | LookupAction::Unresolved(_) => LookupAnswer::Unanswered,
        });
        match action {
            LookupAction::Introduce(decided) => {
                // If the answer is lost, the repeated lookup is answered again.
                self.repeated.forget(lookup);
                let offer = relaying::offer(turn, clients, decision, &decided);
                if matches!(offer, Offer::Now { .. }) {
                    done.answer = LookupAnswer::Relayed;
                }
                let target = decided.target;
                let introduction = introduce(&target, lookup.initiator, &turn.standing.site);
                let redirect = offer.redirect(introduction.redirect);
                done.is_forwarded = introduce_peers(turn, clients, &target, lookup, &redirect, &offer);
                (done.target, done.redirected_to) = (Some(&target), &redirect);
                self.follow(turn, clients, decision, &done, begun);
                return;
            }
            LookupAction::Redirect(addresses) => {
                self.repeated.forget(lookup);
                let addresses = with_outside(turn, lookup, addresses);
                turn.endpoint.redirect(lookup, &addresses);
                counters.add(Counter::Redirects);
                done.redirected_to = &addresses;
                self.follow(turn, clients, decision, &done, begun);
                return;
            }
            LookupAction::Deny(denial) => {
                deny(turn, clients, decision, &denial);
                done.reason = Some(denial.reason);
            }
            LookupAction::Ignore => {
                done.reason = decision.decider().missing.map(|missing| match missing {
                    Missing::Late => "its deadline has passed".into(),
                    Missing::Failed => "it has failed".into(),
                });
            }
            LookupAction::UnknownTarget => counters.add(Counter::UnknownTargets),
            LookupAction::Unanswered => {
                counters.add(Counter::Unanswered);
                done.reason = Some("the application has no script".into());
            }
            LookupAction::Unresolved(Unresolved::Failed(error)) => {
                counters.add(Counter::RegistryFailures);
                tracing::debug!(target = ?lookup.target, %error, "lookup not answered");
                done.reason = Some(Cow::Owned(error.to_string()));
            }
            LookupAction::Unresolved(Unresolved::TimedOut) => {
                counters.add(Counter::RegistryTimeouts);
                done.reason = Some("its deadline has passed".into());
            }
            // The lookup was counted when the registry could not be asked.
            LookupAction::Unresolved(Unresolved::Busy) => {
                done.reason = Some("too many lookups wait for the registry".into());
            }
        }
        self.follow(turn, clients, decision, &done, begun);
    }
}

/// The addresses that a policy redirects to. If it names the address at which this server sees the target, in the server's own network, and
/// the asker stands outside, the address comes first at which others reach the target.
fn with_outside(turn: &Turn<'_>, lookup: &Lookup, mut addresses: Addresses) -> Addresses {
    let is_inside = |tagged: &TaggedAddress| !is_outside(tagged.address.ip().to_canonical());
    if !is_outside(lookup.initiator.ip().to_canonical()) || !addresses.iter().any(is_inside) {
        return addresses;
    }
    let Some(target) = lookup.target.and_then(|target| turn.services().directory.lookup(&target)) else {
        return addresses;
    };
    let outside = turn.standing.site.outside(target.observed, lookup.initiator);
    let seen = addresses.iter().position(|tagged| tagged.address == target.observed);
    for (address, seen) in outside.into_iter().zip(seen.into_iter().cycle()) {
        if addresses.len() < MAX_ADDRESSES && addresses.iter().all(|tagged| tagged.address != address) {
            addresses.insert(seen, TaggedAddress::new(address, Origin::Observed));
        }
    }
    addresses
}

/// Whether a redirect names another server, which is asked next.
fn names_server(addresses: &[TaggedAddress]) -> bool {
    addresses.iter().any(|address| address.origin == Origin::Relay)
}

/// Counts and logs a lookup that is denied.
fn deny(turn: &Turn<'_>, clients: &Clients, decision: &Decision, denial: &Denial) {
    turn.counters().add(Counter::LookupsDenied);
    let place = decision.application().instance().map(|instance| instance.name());
    let lookup = decision.lookup();
    Refused {
        what: "lookup",
        address: lookup.initiator,
        peer: lookup.asker.and_then(|asker| clients.peer(asker)).as_ref().map(|peer| peer as _),
        application: place.map_or("none", |place| &place.application),
        instance: place.map_or("none", |place| &place.instance),
        policy: deciding_policy(decision).name(),
        reason: &denial.reason,
    }
    .log();
}

/// Redirects the asker to the target, and forwards its hello, so that the target opens its NAT to the asker, and to the relay if one is
/// offered. Returns whether the hello was forwarded; `None` if another worker has the target's session.
fn introduce_peers(
    turn: &mut Turn<'_>,
    clients: &mut Clients,
    target: &Peer,
    lookup: &Lookup,
    redirect: &[TaggedAddress],
    offer: &Offer,
) -> Option<bool> {
    let counters = turn.counters();
    if !redirect.is_empty() {
        turn.endpoint.redirect(lookup, redirect);
        counters.add(Counter::Redirects);
    }
    let (session, initiator) = (target.owner, lookup.initiator);
    let (is_proven, relay_port) = (lookup.asker.is_some(), offer.target_port());
    if session.prefix() == turn.info.index {
        let hello = Hello { epd: &lookup.epd, initiator, tag: &lookup.tag, is_proven, relay_port };
        let forwarded = turn.forward(session, &hello);
        clients.looked_up(turn, session);
        return Some(forwarded.is_ok());
    }
    let (epd, tag) = (Box::from(&lookup.epd[..]), Box::from(&lookup.tag[..]));
    turn.info.send(session, Mail::Forward { session, epd, initiator, tag, is_proven, relay_port });
    None
}
