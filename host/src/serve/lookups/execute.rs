//! Executes what was decided about a lookup.

use std::fmt::Display;

use introd_policy::Peer;
use introd_policy::decision::{Denial, LookupAction, Unresolved};
use rtmfp::Lookup;

use super::{Decision, Lookups};
use crate::introducer::{Counter, introduce};
use crate::serve::clients::Clients;
use crate::serve::mail::Mail;
use crate::serve::turn::Turn;

impl Lookups {
    pub(super) fn execute(
        &mut self,
        turn: &mut Turn<'_>,
        clients: &mut Clients,
        decision: &Decision,
        action: LookupAction,
    ) {
        let (lookup, counters) = (decision.lookup(), turn.counters());
        match action {
            LookupAction::Introduce(target) => {
                // If the answer is lost, the repeated lookup is answered again.
                self.repeated.forget(lookup);
                introduce_peers(turn, clients, &target, lookup);
            }
            LookupAction::Redirect(addresses) => {
                self.repeated.forget(lookup);
                turn.endpoint.redirect(lookup, &addresses);
                counters.add(Counter::Redirects);
            }
            LookupAction::Deny(denial) => deny(turn, decision, &denial),
            LookupAction::Ignore => (),
            LookupAction::UnknownTarget => counters.add(Counter::UnknownTargets),
            LookupAction::Unanswered => counters.add(Counter::Unanswered),
            LookupAction::Unresolved(Unresolved::Failed(error)) => {
                counters.add(Counter::RegistryFailures);
                tracing::debug!(target = ?lookup.target, %error, "lookup not answered");
            }
            LookupAction::Unresolved(Unresolved::TimedOut) => counters.add(Counter::RegistryTimeouts),
            // The lookup was counted when the registry could not be asked.
            LookupAction::Unresolved(Unresolved::Busy) => (),
        }
    }
}

/// Counts and logs a lookup that is denied.
fn deny(turn: &Turn<'_>, decision: &Decision, denial: &Denial) {
    turn.counters().add(Counter::LookupsDenied);
    let app: &dyn Display = match decision.application().instance() {
        Some(instance) => instance.name(),
        None => &"none",
    };
    introd_log::refused("lookup", decision.lookup().initiator, app, denial.policy.name(), &denial.reason);
}

/// Redirects the asker to the target, and forwards its hello so that the target opens its NAT to the asker.
fn introduce_peers(turn: &mut Turn<'_>, clients: &mut Clients, target: &Peer, lookup: &Lookup) {
    let counters = turn.counters();
    let introduction = introduce(target, lookup.initiator);
    if !introduction.redirect.is_empty() {
        turn.endpoint.redirect(lookup, &introduction.redirect);
        counters.add(Counter::Redirects);
    }
    let session = introduction.target;
    if session.prefix() == turn.info.index {
        counters.forwarded(turn.endpoint.forward(turn.now, session, lookup));
        clients.looked_up(turn, session);
        return;
    }
    let (epd, tag) = (Box::from(&lookup.epd[..]), Box::from(&lookup.tag[..]));
    turn.info.send(session, Mail::Forward { session, epd, initiator: lookup.initiator, tag });
}
