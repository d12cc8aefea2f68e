//! Lookups and the native plugins, which are asked first.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use rtmfp::crypto::Epd;
use rtmfp::{Lookup, PeerId};
use smallvec::SmallVec;

use super::Worker;
use crate::apps::Instance;
use crate::introducer::Counter;
use crate::serve::clients::Clients;
use crate::serve::pending::{Waiting, WaitingLookup};
use introd_config::{Application, Fallback, LookupMode};
use introd_native::{Chain, Instance as Plugin, LookupEvent, Outcome, Place, Verdict};
use introd_policy::InstanceId;
use introd_policy::Peer;
use introd_policy::message::Offer;

/// Who is asked about a lookup.
#[derive(Clone)]
pub(in crate::serve) struct Asking {
    /// The plugins, in their order.
    pub(in crate::serve) chain: Chain,
    /// The application instance; `None` if there is none.
    pub(in crate::serve) instance: Option<Arc<Instance>>,
    /// Who comes after the plugins.
    pub(super) mode: LookupMode,
    /// The place in the configuration of the adaptor that the lookup came through.
    pub(super) adaptor: usize,
    /// The asker, if it is a client.
    pub(super) asker: Option<PeerId>,
    /// Whether it is a client of this very instance.
    pub(super) is_client: bool,
    /// The instance that the asker is a client of, where that is another one.
    pub(super) home: Option<Arc<Instance>>,
    /// What the asker's application has agreed to, where this is the target's.
    pub(super) offer: Option<Offer>,
}

impl Asking {
    fn instance_id(&self) -> Option<InstanceId> {
        self.instance.as_ref().map(|instance| instance.id())
    }

    /// Whether a plugin of the target's application has been asked for the asker's already.
    fn has_asked_before(&self, plugin: &Arc<Plugin>) -> bool {
        self.home.as_ref().is_some_and(|home| home.plugins().iter().any(|known| Arc::ptr_eq(known, plugin)))
    }
}

impl Worker {
    /// Asks the plugins from the `from`th on, and then those who come after them. `target` is what the directory has of the target.
    pub(super) fn ask_plugins(
        &mut self,
        now: Instant,
        clients: &mut Clients,
        lookup: &Lookup,
        asking: Asking,
        from: usize,
        target: Option<Peer>,
    ) {
        for index in from..asking.chain.len() {
            let Some(plugin) = asking.chain.get(index) else { break };
            let application;
            let place = match &asking.instance {
                Some(instance) => Place::from(instance.name()),
                None => {
                    application = self.services.applications.default_application(asking.adaptor);
                    Place { application: &application, instance: "" }
                }
            };
            let event = LookupEvent {
                lookup,
                asker: lookup.asker.zip(asking.asker),
                is_local: target.is_some(),
                place,
                home: asking.home.as_ref().map(|home| Place::from(home.name())),
                is_consent: asking.offer.is_some(),
                is_asked_again: asking.has_asked_before(plugin),
            };
            match plugin.lookup(self.index, event) {
                Outcome::Pending(token) => {
                    let patience = self.settings_of(&asking).policy.deadline;
                    let waiting = WaitingLookup { lookup: lookup.clone(), asking, index };
                    clients.pendings.insert(now, patience, token, Waiting::Lookup(Box::new(waiting)));
                    return;
                }
                Outcome::Verdict(verdict) => {
                    if self.apply(now, clients, lookup, &asking, verdict).is_break() {
                        return;
                    }
                }
            }
        }
        self.decide(now, clients, lookup, asking, target);
    }

    /// As [`Self::ask_plugins`], some time after the lookup came.
    fn ask_next(&mut self, now: Instant, clients: &mut Clients, lookup: &Lookup, asking: Asking, from: usize) {
        let target = lookup.target.and_then(|target| self.services.directory.lookup(&target));
        self.ask_plugins(now, clients, lookup, asking, from, target);
    }

    fn settings_of(&self, asking: &Asking) -> Arc<Application> {
        match &asking.instance {
            Some(instance) => instance.settings(),
            None => self.services.applications.default_settings(asking.adaptor),
        }
    }

    /// Does what a plugin has decided: the next one is asked if it leaves it to others.
    fn apply(
        &mut self,
        now: Instant,
        clients: &mut Clients,
        lookup: &Lookup,
        asking: &Asking,
        verdict: Verdict,
    ) -> ControlFlow<()> {
        let counters = self.services.counters.worker(self.index);
        match verdict {
            Verdict::Continue => return ControlFlow::Continue(()),
            Verdict::Redirect(addresses) => {
                let target = lookup.target.filter(|_| asking.offer.is_none());
                match target.and_then(|target| self.services.directory.lookup(&target)) {
                    Some(target) => {
                        let offer = Offer::Redirect(addresses.into());
                        self.propose(now, clients, lookup, asking.instance_id(), target, offer);
                    }
                    None => self.redirect(lookup, &addresses),
                }
            }
            Verdict::Introduce(peer) => match self.services.directory.lookup(&peer) {
                Some(target) if lookup.target == Some(peer) => {
                    self.introduce_by_plugin(now, clients, lookup, asking, target);
                }
                Some(target) => {
                    // The hello that it is forwarded must select it.
                    let epd = SmallVec::from_slice(&Epd::fingerprint(peer));
                    let lookup = Lookup { target: Some(peer), epd, ..lookup.clone() };
                    self.introduce_by_plugin(now, clients, &lookup, asking, target);
                }
                None => counters.add(Counter::UnknownTargets),
            },
            Verdict::Deny => self.deny_lookup(lookup, asking.instance.as_deref(), "plugin", "denied"),
            Verdict::Ignore => (),
            // The others are no verdicts on lookups, and do not come here.
            _ => {
                return self.fall_back(
                    lookup,
                    asking,
                    self.settings_of(asking).policy.on_failure,
                    "the plugin has failed",
                );
            }
        }
        ControlFlow::Break(())
    }

    /// A plugin names a peer to introduce the asker to. One that was asked for the target's application may name clients of that
    /// instance and those that nobody has to be asked about: a third application is not asked.
    fn introduce_by_plugin(
        &mut self,
        now: Instant,
        clients: &mut Clients,
        lookup: &Lookup,
        asking: &Asking,
        target: Peer,
    ) {
        let of_target = InstanceId(target.instance);
        let guards = self.services.applications.guards();
        if asking.offer.is_some() && asking.instance_id() != Some(of_target) && guards.has(of_target) {
            let why = "the peer is a client of an application that was not asked";
            self.deny_lookup(lookup, asking.instance.as_deref(), "plugin", why);
            return;
        }
        if asking.offer.is_some() {
            self.introduce(now, clients, &target, lookup);
        } else {
            self.propose(now, clients, lookup, asking.instance_id(), target, Offer::Introduction);
        }
    }

    fn fall_back(&self, lookup: &Lookup, asking: &Asking, fallback: Fallback, why: &str) -> ControlFlow<()> {
        match fallback {
            Fallback::Continue => return ControlFlow::Continue(()),
            Fallback::Deny => self.deny_lookup(lookup, asking.instance.as_deref(), "plugin", why),
            Fallback::Ignore => (),
        }
        ControlFlow::Break(())
    }

    /// Takes in the verdicts that have come since the last time, and lets go of those that have not come in time.
    pub(super) fn take_verdicts(&mut self, clients: &mut Clients) {
        if clients.pendings.next_timeout().is_none() {
            return;
        }
        let now = Instant::now();
        let verdicts = self.services.applications.plugins().completions(self.index);
        for (token, verdict) in verdicts {
            // One whose time ran out meanwhile waits no more.
            let Some(waiting) = clients.pendings.take(token) else { continue };
            if let (Verdict::Failed(why), Some(plugin)) = (&verdict, waiting.plugin()) {
                plugin.failed_later(why);
            }
            match waiting {
                Waiting::Lookup(waiting) => {
                    let WaitingLookup { lookup, asking, index } = *waiting;
                    if self.apply(now, clients, &lookup, &asking, verdict).is_continue() {
                        self.ask_next(now, clients, &lookup, asking, index + 1);
                    }
                }
                Waiting::Connect(waiting) => {
                    clients.connect_decided(now, &mut self.endpoint, &self.ports, *waiting, Some(verdict));
                }
            }
        }
        self.expire_verdicts(now, clients);
    }

    /// Lets go of what has waited for long enough.
    fn expire_verdicts(&mut self, now: Instant, clients: &mut Clients) {
        while let Some((token, waiting)) = clients.pendings.take_late(now) {
            // A verdict that is on its way at this moment comes too late, too.
            if let Some(plugin) = waiting.plugin() {
                plugin.cancel(token);
                tracing::info!(plugin = plugin.library().name(), "a plugin has let a deadline pass");
            }
            self.services.counters.worker(self.index).add(Counter::PluginTimeouts);
            match waiting {
                Waiting::Lookup(waiting) => {
                    let WaitingLookup { lookup, asking, index } = *waiting;
                    let fallback = self.settings_of(&asking).policy.on_deadline;
                    if self.fall_back(&lookup, &asking, fallback, "the plugin let its deadline pass").is_continue() {
                        self.ask_next(now, clients, &lookup, asking, index + 1);
                    }
                }
                Waiting::Connect(waiting) => {
                    clients.connect_decided(now, &mut self.endpoint, &self.ports, *waiting, None);
                }
            }
        }
    }
}
