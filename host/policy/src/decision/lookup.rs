//! The decision about a lookup: whether and how the asker is introduced to its target.

use std::borrow::Cow;
use std::sync::Arc;

use introd_config::LookupMode;
use rtmfp::{Lookup, PeerId};

use super::decider::Decider;
use super::lookup_step::{Denial, LookupAction, LookupInput, LookupStep, Unresolved};
use super::relay_verdicts::RelayVerdicts;
use super::{DecidingApplication, Guard, LookupContext, Missing, PolicyKind, fallback};
use crate::message::{Offer, Proposal};
use crate::reply::Resolution;
use crate::{Addresses, Peer, RelayVerdict, Verdict};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Start,
    Plugin(usize),
    Script {
        /// Whether addresses from the script mean its consent only, and the server makes the introduction itself. This is so in mode
        /// `Partial` for a target that is connected here.
        is_server_introducing: bool,
    },
    Registry,
    Done,
}

/// The introduction to which the asker's application has agreed, and the target's application must agree as well.
#[derive(Clone, Debug)]
struct Consent<A> {
    /// The application of the asker, if that is a client.
    home: Option<A>,
    offer: Offer,
}

/// A lookup on its way through the policies that decide.
///
/// It meets, in this order: the native plugins of the application, its script by the application's mode, the shared registry if the
/// target is not connected here, and the built-in behaviour. The application is that of the asker, else of the target, else the default
/// one. Where the result concerns a client of another instance that has a policy of its own, that policy is asked too, in the same
/// order, and both must agree: no peer gets round a policy by connecting under another path.
#[derive(Clone, Debug)]
pub struct LookupDecision<A> {
    lookup: Lookup,
    /// How many hellos of the asker with this tag there have been, this one counted.
    attempt: u32,
    application: A,
    /// Whether the asker is a client of the application.
    is_client: bool,
    consent: Option<Box<Consent<A>>>,
    /// Whether the target was connected here when the policy that is asked now was asked.
    is_target_local: bool,
    stage: Stage,
    /// The policies that have asked for a relay.
    relays: RelayVerdicts,
    /// Who decided: the server, until a policy does.
    decider: Decider,
}

impl<A: DecidingApplication> LookupDecision<A> {
    /// The decision about a lookup by the policies of an application. `is_client` says whether the asker is a client of it.
    pub fn new(lookup: Lookup, application: A, is_client: bool) -> Self {
        let (is_target_local, stage, decider) = (false, Stage::Start, Decider::SERVER);
        let relays = RelayVerdicts::default();
        Self { lookup, attempt: 1, application, is_client, consent: None, is_target_local, stage, relays, decider }
    }

    /// The decision of the target's application, which is asked to agree to an offer. The asker's application has made the offer; it is
    /// `home` if the asker is a client.
    pub fn consenting(lookup: Lookup, application: A, home: Option<A>, offer: Offer) -> Self {
        let consent = Some(Box::new(Consent { home, offer }));
        Self { consent, ..Self::new(lookup, application, false) }
    }

    /// The same decision about a lookup that the asker makes for that many times: policies are told the number.
    #[must_use]
    pub fn with_attempt(self, attempt: u32) -> Self {
        Self { attempt, ..self }
    }

    /// How many times the asker has made this lookup, with this time: 1 if it does not repeat an earlier one.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The lookup.
    pub fn lookup(&self) -> &Lookup {
        &self.lookup
    }

    /// The application whose policies are asked now.
    pub fn application(&self) -> &A {
        &self.application
    }

    /// Whether the asker is a client of the application whose policies are asked now.
    pub fn is_client(&self) -> bool {
        self.is_client
    }

    /// Whether the target was connected here when the policy that is asked now was asked.
    pub fn is_target_local(&self) -> bool {
        self.is_target_local
    }

    /// The application of the asker, if the asker is a client and the policies of the target's application are asked now.
    pub fn home(&self) -> Option<&A> {
        self.consent.as_ref()?.home.as_ref()
    }

    /// Whether the application of the target is asked now, after the application of the asker has agreed.
    pub fn is_consent(&self) -> bool {
        self.consent.is_some()
    }

    /// What the script of the target's application is told of the asker and of the offer.
    pub fn proposal(&self, name_of: impl Fn(&A) -> Box<str>) -> Option<Box<Proposal>> {
        let consent = self.consent.as_ref()?;
        let initiator_application = consent.home.as_ref().map(name_of);
        Some(Box::new(Proposal { initiator_application, offer: consent.offer.clone() }))
    }

    /// The place of the plugin that is asked now.
    pub fn plugin(&self) -> Option<usize> {
        match self.stage {
            Stage::Plugin(index) => Some(index),
            _ => None,
        }
    }

    /// Who decided, when the decision is over.
    pub fn decider(&self) -> Decider {
        self.decider
    }

    /// The policy that is asked now decides.
    fn decides(&mut self, missing: Option<Missing>) {
        self.decider = match self.stage {
            Stage::Plugin(index) => Decider { kind: PolicyKind::Plugin, plugin: Some(index), missing },
            Stage::Script { .. } => Decider { kind: PolicyKind::Script, plugin: None, missing },
            Stage::Registry => Decider { kind: PolicyKind::Registry, plugin: None, missing },
            Stage::Start | Stage::Done => Decider::SERVER,
        };
    }

    /// Takes an event and returns the next step. After [`LookupStep::Execute`] the decision is over.
    pub fn advance(&mut self, input: LookupInput, context: &impl LookupContext<Application = A>) -> LookupStep {
        match input {
            LookupInput::Begin(target) => self.begin(target, context),
            LookupInput::Pending => LookupStep::Wait(self.application.policy().deadline),
            LookupInput::Verdict(verdict) => self.decided(verdict, context),
            LookupInput::Resolved(resolution) => self.resolved(resolution, context),
            LookupInput::RegistryBusy => match self.target(context) {
                Some(target) => self.propose(target, Offer::Introduction, context),
                None => {
                    self.decides(Some(Missing::Failed));
                    self.end(LookupAction::Unresolved(Unresolved::Busy))
                }
            },
            LookupInput::Late if self.stage == Stage::Registry => self.resolved(Resolution::TimedOut, context),
            LookupInput::Late => {
                let why = match self.stage {
                    Stage::Plugin(_) => "the plugin let its deadline pass",
                    _ => "the script let its deadline pass",
                };
                self.fall_back(Missing::Late, why.into(), context)
            }
        }
    }

    /// The target as the directory knows it now.
    fn target(&self, context: &impl LookupContext<Application = A>) -> Option<Peer> {
        context.peer(&self.lookup.target?)
    }

    fn begin(&mut self, target: Option<Peer>, context: &impl LookupContext<Application = A>) -> LookupStep {
        if context.bars(&self.application, self.lookup.initiator.ip(), self.is_client) {
            return self.deny(PolicyKind::Server, "the access rules");
        }
        self.ask_from(0, target, context)
    }

    /// Asks the plugin at that place, or after the last plugin the script or the server.
    fn ask_from(
        &mut self,
        index: usize,
        target: Option<Peer>,
        context: &impl LookupContext<Application = A>,
    ) -> LookupStep {
        self.is_target_local = target.is_some();
        if index < self.application.plugins() {
            self.stage = Stage::Plugin(index);
            return LookupStep::AskPlugin(index);
        }
        let (mode, has_script) = (self.application.lookup_mode(), self.application.has_script());
        if mode == LookupMode::Denied {
            return self.deny(PolicyKind::Server, "the application is not available");
        }
        if !is_for_script(mode, has_script, self.is_client, target.is_some()) {
            return self.passed_by_all(target, context);
        }
        if !has_script {
            return self.end(LookupAction::Unanswered);
        }
        self.stage = Stage::Script { is_server_introducing: mode == LookupMode::Partial && target.is_some() };
        LookupStep::AskScript
    }

    /// Asks the next policy, because the policy that was asked leaves the decision to it.
    fn passed(&mut self, context: &impl LookupContext<Application = A>) -> LookupStep {
        let target = self.target(context);
        match self.stage {
            Stage::Plugin(index) => self.ask_from(index + 1, target, context),
            _ => self.passed_by_all(target, context),
        }
    }

    /// Goes on after no policy of the application has denied the lookup.
    fn passed_by_all(&mut self, target: Option<Peer>, context: &impl LookupContext<Application = A>) -> LookupStep {
        if let Some(consent) = self.consent.take() {
            // The target may be a client of another instance by now, which would have to agree.
            return match target.filter(|target| self.is_of_application(target)) {
                Some(target) => self.carry_out(target, consent.offer),
                None => self.end(LookupAction::UnknownTarget),
            };
        }
        match target {
            // The peer may be at another server by now, and its session here a dead one.
            Some(target) if !(target.is_silent && context.shares_registry()) => {
                self.propose(target, Offer::Introduction, context)
            }
            _ => match self.lookup.target {
                Some(target) => {
                    self.stage = Stage::Registry;
                    LookupStep::AskRegistry(target)
                }
                None => self.end(LookupAction::UnknownTarget),
            },
        }
    }

    fn is_of_application(&self, target: &Peer) -> bool {
        self.is_instance(target.instance)
    }

    /// Whether the application that is asked now is the instance of that number.
    fn is_instance(&self, number: u16) -> bool {
        self.application.instance().is_some_and(|instance| instance.0 == number)
    }

    /// Executes an offer of the application that was asked so far. Before that, the target's application is asked if it is another one
    /// with a policy of its own.
    fn propose(&mut self, target: Peer, offer: Offer, context: &impl LookupContext<Application = A>) -> LookupStep {
        if self.is_of_application(&target) {
            return self.carry_out(target, offer);
        }
        let application = match context.guard(&target) {
            Guard::Open => return self.carry_out(target, offer),
            Guard::Gone => return self.end(LookupAction::UnknownTarget),
            Guard::Guarded(application) => application,
        };
        let home = self.lookup.asker.and_then(|asker| context.application_of(asker));
        if context.bars(&application, self.lookup.initiator.ip(), home.is_some()) {
            self.application = application;
            return self.deny(PolicyKind::Server, "the access rules of the peer's application");
        }
        self.consent = Some(Box::new(Consent { home, offer }));
        self.application = application;
        // The plugin is one of the other application.
        self.decider.plugin = None;
        self.is_client = false;
        self.ask_from(0, Some(target), context)
    }

    /// Executes an offer to which all applications have agreed.
    fn carry_out(&mut self, target: Peer, offer: Offer) -> LookupStep {
        match offer {
            Offer::Introduction => self.introduce(target),
            Offer::Redirect(addresses) => self.end(LookupAction::Redirect(Addresses::from_slice(&addresses))),
        }
    }

    fn decided(&mut self, verdict: Verdict, context: &impl LookupContext<Application = A>) -> LookupStep {
        if !matches!(verdict, Verdict::Continue) {
            self.decides(None);
        }
        match verdict {
            Verdict::Continue => self.passed(context),
            // An empty redirect would send the asker to this server itself (RFC 7016 §2.3.5).
            Verdict::Redirect(addresses) if addresses.is_empty() => {
                self.failed("a redirect without addresses".into(), context)
            }
            Verdict::Redirect(addresses) => self.redirected(addresses, context),
            Verdict::Introduce(peer) => self.introduced(peer, context),
            Verdict::Relay(relay) => self.relayed(relay, context),
            Verdict::Deny(reason) => {
                self.deny_by_policy(reason.map_or(Cow::Borrowed("denied"), |reason| Cow::Owned(reason.into())))
            }
            Verdict::Ignore => self.end(LookupAction::Ignore),
            Verdict::Failed(why) => self.failed(why.into(), context),
            Verdict::Reject(_) | Verdict::Handled | Verdict::Members(_) => {
                self.failed("a verdict that is none on a lookup".into(), context)
            }
        }
    }

    fn failed(&mut self, why: Cow<'static, str>, context: &impl LookupContext<Application = A>) -> LookupStep {
        self.fall_back(Missing::Failed, why, context)
    }

    /// Takes the fallback for the verdict of the policy that is asked now.
    fn fall_back(
        &mut self,
        missing: Missing,
        why: Cow<'static, str>,
        context: &impl LookupContext<Application = A>,
    ) -> LookupStep {
        self.decides(Some(missing));
        match fallback(&self.application.policy(), missing) {
            Verdict::Continue => {
                self.decider = Decider::SERVER;
                self.passed(context)
            }
            Verdict::Deny(_) => self.deny_by_policy(why),
            _ => self.end(LookupAction::Ignore),
        }
    }

    /// Denies the lookup as the policy that is asked now wants it.
    fn deny_by_policy(&mut self, why: Cow<'static, str>) -> LookupStep {
        match self.stage {
            Stage::Plugin(_) => self.deny(PolicyKind::Plugin, why),
            _ => self.deny(PolicyKind::Script, why),
        }
    }

    /// Handles a redirect to addresses that a policy names.
    fn redirected(&mut self, addresses: Addresses, context: &impl LookupContext<Application = A>) -> LookupStep {
        let is_server_introducing = matches!(self.stage, Stage::Script { is_server_introducing: true });
        // Most redirects are by the target's own application, which nobody else has to agree with: then the rest of the entry is of no use.
        if self.consent.is_none()
            && !is_server_introducing
            && let Some(instance) = self.lookup.target.and_then(|target| context.instance_of(&target))
            && self.is_instance(instance)
        {
            return self.end(LookupAction::Redirect(addresses));
        }
        let Some(target) = self.target(context) else { return self.end(LookupAction::Redirect(addresses)) };
        let is_own = self.is_of_application(&target);
        match self.consent.take() {
            // Another instance must agree now.
            Some(_) if !is_own => self.end(LookupAction::UnknownTarget),
            Some(consent) if is_server_introducing => self.carry_out(target, consent.offer),
            Some(_) => self.end(LookupAction::Redirect(addresses)),
            None if is_own && is_server_introducing => self.introduce(target),
            None => self.propose(target, Offer::Redirect(Arc::from(addresses.as_slice())), context),
        }
    }

    /// Handles an introduction to a peer that a policy names. The policy of the target's application may name clients of its own instance
    /// and clients about which no policy must be asked: a third application is not asked.
    fn introduced(&mut self, peer: PeerId, context: &impl LookupContext<Application = A>) -> LookupStep {
        let Some(target) = context.peer(&peer) else { return self.end(LookupAction::UnknownTarget) };
        if self.lookup.target != Some(peer) {
            self.lookup.set_target(peer);
        }
        if self.consent.is_none() {
            return self.propose(target, Offer::Introduction, context);
        }
        if !self.is_of_application(&target) && context.is_guarded(&target) {
            return self.deny(PolicyKind::Plugin, "the peer is a client of an application that was not asked");
        }
        self.introduce(target)
    }

    /// Handles an introduction with a relay.
    fn relayed(&mut self, relay: RelayVerdict, context: &impl LookupContext<Application = A>) -> LookupStep {
        let peer = relay.peer.or(self.lookup.target);
        self.relays.add(self.application.instance(), self.is_client, peer, relay.terms);
        let target = self.target(context);
        match relay.peer {
            Some(peer) => self.introduced(peer, context),
            // Where the target is not connected here, the registry is asked, and the server that has it decides about relays.
            None if self.consent.is_none() => self.passed_by_all(target, context),
            // What was offered, an introduction or a redirect, becomes an introduction.
            None => match target.filter(|target| self.is_of_application(target)) {
                Some(target) => self.introduce(target),
                None => self.end(LookupAction::UnknownTarget),
            },
        }
    }

    /// Introduces the asker and a target to each other, with the relay for which policies have asked.
    fn introduce(&mut self, target: Peer) -> LookupStep {
        let introduction = self.relays.introduction(self.lookup.target, target);
        self.end(LookupAction::Introduce(introduction))
    }

    /// Handles the registry's answer: the asker is redirected to the peer and to the peer's server, which introduces the
    /// two when it is asked.
    fn resolved(&mut self, resolution: Resolution, context: &impl LookupContext<Application = A>) -> LookupStep {
        let addresses = match &resolution {
            Resolution::Found(addresses) => context.elsewhere(addresses, self.lookup.initiator),
            _ => Addresses::new(),
        };
        // The peer may have connected here in the meantime. A peer that is silent here is elsewhere, if the registry says so.
        if let Some(here) = self.target(context).filter(|here| !here.is_silent || addresses.is_empty()) {
            return self.propose(here, Offer::Introduction, context);
        }
        self.decides(match resolution {
            Resolution::Found(_) | Resolution::Unknown => None,
            Resolution::Failed(_) => Some(Missing::Failed),
            Resolution::TimedOut => Some(Missing::Late),
        });
        match resolution {
            Resolution::Found(_) if !addresses.is_empty() => self.end(LookupAction::Redirect(addresses)),
            Resolution::Found(_) | Resolution::Unknown => self.end(LookupAction::UnknownTarget),
            Resolution::Failed(error) => self.end(LookupAction::Unresolved(Unresolved::Failed(error))),
            Resolution::TimedOut => self.end(LookupAction::Unresolved(Unresolved::TimedOut)),
        }
    }

    fn deny(&mut self, policy: PolicyKind, reason: impl Into<Cow<'static, str>>) -> LookupStep {
        if policy == PolicyKind::Server {
            self.decider = Decider::SERVER;
        }
        self.end(LookupAction::Deny(Denial { policy, reason: reason.into() }))
    }

    fn end(&mut self, action: LookupAction) -> LookupStep {
        self.stage = Stage::Done;
        LookupStep::Execute(action)
    }
}

/// Whether a lookup goes to the script of the instance that is asked, rather than to the server.
fn is_for_script(mode: LookupMode, has_script: bool, is_own_client: bool, is_target_connected: bool) -> bool {
    match mode {
        LookupMode::None => false,
        // The server answers the instance's own clients where it can, and everything where there is no script to ask.
        LookupMode::Partial => has_script && !(is_own_client && is_target_connected),
        // Without a script no lookup is answered.
        LookupMode::All => true,
        // Such lookups have been denied before.
        LookupMode::Denied => false,
    }
}
