//! The lookups of one worker: this room executes the steps of [`LookupDecision`].

mod context;
mod execute;
mod following;
mod reading_ahead;
mod relaying;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::Instant;

use introd_native::{Callback, LookupEvent, PluginAnswer};
use introd_policy::decision::{LookupDecision, LookupInput, LookupStep};
use introd_policy::message::{AppEvent, ClientId, PeerLookup};
use introd_policy::{InstanceId, Peer, Reply, RequestId, Verdict};
use rtmfp::{Lookup, PeerId};
use smallvec::SmallVec;

use super::asked::AskedApplication;
use super::clients::Clients;
use super::pending::PendingRequest;
use super::repeated_lookups::RepeatedLookups;
use super::turn::Turn;
use crate::introducer::Counter;
use crate::meetings::{Attempts, DecidingPolicy, LookupAnswer};
use crate::registry::Asked;
use context::Context;

pub(super) use reading_ahead::read_ahead;

/// The lookups of one worker.
#[derive(Default)]
pub(super) struct Lookups {
    /// The lookups about which scripts of other applications than the asker's were asked recently.
    repeated: RepeatedLookups,
    /// The askers that are about to meet their targets.
    attempts: Attempts,
}

type Decision = LookupDecision<AskedApplication>;

impl Lookups {
    /// Begins the decision about a lookup.
    pub(super) fn begin(&mut self, turn: &mut Turn<'_>, clients: &mut Clients, lookup: Lookup) {
        let (services, now) = (turn.services(), turn.now);
        turn.counters().add(Counter::Lookups);
        let from = lookup.initiator.ip();
        if !services.rates.permit_lookup(now, from) {
            return over_rate(turn, from, "MaxLookupRatePerAddress");
        }
        let target = lookup.target.and_then(|target| services.directory.lookup(&target));
        let (application, is_client) = asked_about(turn, clients, &lookup, target.as_ref());
        let is_permitted = match lookup.asker.filter(|_| is_client) {
            Some(asker) => clients.permit_lookup(now, asker),
            None => application.max_lookup_rate().is_none_or(|limit| {
                let instance = application.instance().map(|instance| instance.id());
                services.rates.permit_stranger(now, instance, from, limit)
            }),
        };
        if !is_permitted {
            return over_rate(turn, from, "MaxLookupRate");
        }
        // An asker with a session has proven its address.
        let attempt = self.attempts.heard(now, &lookup, lookup.asker.is_some());
        let decision = LookupDecision::new(lookup, application, is_client).with_attempt(attempt.into());
        self.drive(turn, clients, decision, LookupInput::Begin(target), now);
    }

    /// Continues a pending lookup, which came at `begun`, and whose reply has come.
    pub(super) fn reply(
        &mut self,
        turn: &mut Turn<'_>,
        clients: &mut Clients,
        decision: Decision,
        reply: Reply,
        begun: Instant,
    ) {
        let input = match reply {
            Reply::Verdict(verdict) => {
                if let (Verdict::Failed(why), Some(plugin)) = (&verdict, asked_plugin(&decision)) {
                    plugin.failed_later(Callback::Lookup, why);
                }
                LookupInput::Verdict(verdict)
            }
            Reply::Resolved(resolution) => LookupInput::Resolved(resolution),
        };
        self.drive(turn, clients, decision, input, begun);
    }

    /// Continues a pending lookup, which came at `begun`, and whose deadline has passed: a later reply is ignored.
    pub(super) fn late(
        &mut self,
        turn: &mut Turn<'_>,
        clients: &mut Clients,
        request: RequestId,
        decision: Decision,
        token: Option<u64>,
        begun: Instant,
    ) {
        if let Some((plugin, token)) = asked_plugin(&decision).zip(token) {
            // A verdict that is on its way at this moment is too late as well.
            plugin.cancel(token);
            plugin.count_timeout();
            tracing::info!(plugin = plugin.library().name(), "a plugin has let a deadline pass");
            turn.counters().add(Counter::PluginTimeouts);
        } else if let Some(script) = decision.application().script() {
            script.cancel(request);
            tracing::debug!(lookup = ?decision.lookup(), "the script did not answer in time");
        }
        self.drive(turn, clients, decision, LookupInput::Late, begun);
    }

    /// Executes the steps of a decision until it waits or is over.
    fn drive(
        &mut self,
        turn: &mut Turn<'_>,
        clients: &mut Clients,
        mut decision: Decision,
        mut input: LookupInput,
        begun: Instant,
    ) {
        let (mut request, mut token) = (None, None);
        loop {
            let step = decision.advance(input, &Context { services: turn.services(), clients });
            input = match step {
                LookupStep::Execute(action) => {
                    self.execute(turn, clients, &decision, action, begun);
                    return;
                }
                LookupStep::Wait(timeout) => {
                    if let Some(request) = request {
                        let waiting =
                            PendingRequest::Lookup { decision, token, begun, since: turn.now, is_for_registry: false };
                        turn.pending.insert(request, turn.now + timeout, None, waiting);
                    }
                    return;
                }
                LookupStep::AskPlugin(index) => {
                    request = turn.pending.next_id();
                    match ask_plugin(clients, &decision, index, request) {
                        PluginAnswer::Verdict(verdict) => LookupInput::Verdict(verdict),
                        PluginAnswer::Pending(its) => {
                            token = Some(its);
                            LookupInput::Pending
                        }
                    }
                }
                LookupStep::AskScript => {
                    if decision.is_consent() && !self.repeated.is_new(turn.now, decision.lookup()) {
                        // The script is deciding on the same lookup, or has just decided on it.
                        count_undecided(turn, LookupAnswer::Repeated);
                        return;
                    }
                    (request, token) = (turn.pending.next_id(), None);
                    ask_script(turn, &decision, request)
                }
                LookupStep::AskRegistry(peer) => match ask_registry(turn, &mut request, &decision, peer) {
                    Some(input) => input,
                    None => {
                        if let Some(request) = request {
                            // The resolver has a timeout of its own; this deadline is for a reply that is lost.
                            let deadline = turn.now + 2 * turn.services().resolver.timeout();
                            let waiting = PendingRequest::Lookup {
                                decision,
                                token: None,
                                begun,
                                since: turn.now,
                                is_for_registry: true,
                            };
                            turn.pending.insert(request, deadline, None, waiting);
                        } else {
                            count_undecided(turn, LookupAnswer::Repeated);
                        }
                        return;
                    }
                },
            };
        }
    }
}

/// Counts and logs a lookup that is not answered, because there were too many before it.
fn over_rate(turn: &Turn<'_>, from: IpAddr, limit: &'static str) {
    turn.counters().add(Counter::OverRate);
    count_undecided(turn, LookupAnswer::OverRate);
    turn.services().refusals.tell(turn.now, from, limit);
}

/// Counts a lookup about which nothing is decided. The metric of the verdicts has every lookup once.
fn count_undecided(turn: &Turn<'_>, answer: LookupAnswer) {
    turn.services().verdicts.add(turn.info.index, DecidingPolicy::Server, answer);
}

/// The application that is asked about a lookup first: that of the asker, else of the target, else the default one. The flag says whether
/// the asker is its client.
fn asked_about(turn: &Turn<'_>, clients: &Clients, lookup: &Lookup, target: Option<&Peer>) -> (AskedApplication, bool) {
    let applications = &turn.services().applications;
    let adaptor = turn.adaptor(lookup.interface);
    if let Some(instance) = lookup.asker.and_then(|asker| clients.instance(asker)) {
        return (AskedApplication::of(instance, adaptor), true);
    }
    let of_target = target.and_then(|target| applications.instance(InstanceId(target.instance)));
    let application = match of_target {
        Some(instance) => AskedApplication::of(&instance, adaptor),
        None => AskedApplication::default_of(applications, adaptor),
    };
    (application, false)
}

fn asked_plugin(decision: &Decision) -> Option<&std::sync::Arc<introd_native::PluginInstance>> {
    decision.application().plugin(decision.plugin()?)
}

fn ask_plugin(clients: &Clients, decision: &Decision, index: usize, request: Option<RequestId>) -> PluginAnswer {
    let (application, lookup) = (decision.application(), decision.lookup());
    let (Some(plugin), Some(request)) = (application.plugin(index), request) else {
        return PluginAnswer::Verdict(Verdict::Failed("too many requests wait for replies".to_owned()));
    };
    let is_client = decision.is_client() || decision.home().is_some();
    let asker = lookup.asker.filter(|_| is_client);
    plugin.lookup(
        request,
        LookupEvent {
            lookup,
            asker: asker.and_then(|asker| Some((asker, clients.peer(asker)?))),
            is_local: decision.is_target_local(),
            place: application.place(),
            home: decision.home().map(AskedApplication::place),
            is_consent: decision.is_consent(),
            is_asked_again: decision.home().is_some_and(|home| home.has_plugin(plugin)),
            attempt: decision.attempt(),
        },
    )
}

fn ask_script(turn: &mut Turn<'_>, decision: &Decision, request: Option<RequestId>) -> LookupInput {
    let (Some(script), Some(request)) = (decision.application().script(), request) else {
        return LookupInput::Verdict(Verdict::Failed("too many requests wait for replies".to_owned()));
    };
    let lookup = decision.lookup();
    let asker = lookup.asker.filter(|_| decision.is_client());
    let name_of = |home: &AskedApplication| home.instance().map(|home| home.name().to_string().into());
    let event = AppEvent::PeerLookup(PeerLookup {
        request,
        target: lookup.target,
        initiator: lookup.initiator,
        // To clone it would copy byte by byte.
        tag: SmallVec::from_slice(&lookup.tag),
        attempt: decision.attempt(),
        interface: lookup.interface,
        asker: asker.map(|session| ClientId { worker: turn.info.index, session }),
        proposal: decision.proposal(|home| name_of(home).unwrap_or_default()),
    });
    if script.queue(event).is_ok() {
        turn.to_wake.add(script);
        return LookupInput::Pending;
    }
    turn.counters().add(Counter::ApplicationBusy);
    LookupInput::Verdict(Verdict::Failed("the application is busy".to_owned()))
}

/// Asks the registry for a peer that is not connected here, or is silent here. `None` if its answer will come as a reply.
fn ask_registry(
    turn: &mut Turn<'_>,
    request: &mut Option<RequestId>,
    decision: &Decision,
    peer: PeerId,
) -> Option<LookupInput> {
    let counters = turn.counters();
    counters.add(Counter::RegistryLookups);
    *request = turn.pending.next_id();
    let asked = match *request {
        Some(request) => turn.services().resolver.ask(turn.now, request, peer, decision.lookup()),
        None => Asked::Busy,
    };
    match asked {
        Asked::Now(resolution) => return Some(LookupInput::Resolved(resolution)),
        Asked::Called => counters.add(Counter::RegistryCalls),
        Asked::Joined => (),
        // The same lookup is already waiting for the registry.
        Asked::Repeated => *request = None,
        Asked::Busy => {
            counters.add(Counter::RegistryBusy);
            return Some(LookupInput::RegistryBusy);
        }
    }
    None
}
