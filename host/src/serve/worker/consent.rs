//! The target's application has a say: nobody gets round its policy by asking as a client of another application, or of none.
//!
//! The asker's application is asked first. Where it would have the asker introduced to a client of another instance, or sent to
//! addresses of such a client, that is an [`Offer`] only. If the target's instance has a policy of its own, that policy is asked
//! too, in the usual order: plugins, then the script by its mode. A no of either is a no. Where the target's policy has nothing
//! against it, the offer is carried out; where it answers with addresses or an introduction of its own, those are.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Instant;

use rtmfp::{Lookup, TaggedAddress};
use smallvec::SmallVec;

use super::Worker;
use super::plugins::Asking;
use crate::apps::Instance;
use crate::introducer::Counter;
use crate::serve::clients::Clients;
use introd_policy::InstanceId;
use introd_policy::Peer;
use introd_policy::message::{Offer, PendingLookup};

impl Worker {
    /// Carries an offer out that the instance `agreed` has made, `None` if nobody was asked; before that, asks the target's instance if
    /// that is another one with a say.
    pub(super) fn propose(
        &mut self,
        now: Instant,
        clients: &mut Clients,
        lookup: &Lookup,
        agreed: Option<InstanceId>,
        target: Peer,
        offer: Offer,
    ) {
        let of_target = InstanceId(target.instance);
        let applications = &self.services.applications;
        if agreed == Some(of_target) || !applications.guards().has(of_target) {
            self.carry_out(now, clients, lookup, &target, offer);
            return;
        }
        let Some(instance) = applications.instance(of_target) else {
            // It went with its last client.
            self.services.counters.worker(self.index).add(Counter::UnknownTargets);
            return;
        };
        let home = lookup.asker.and_then(|asker| clients.instance(asker)).cloned();
        if instance.bars(lookup.initiator.ip(), home.is_some()) {
            self.deny_lookup(lookup, Some(&instance), "the server", "the access rules of the peer's application");
            return;
        }
        let asking = Asking {
            chain: Arc::clone(&instance.plugins()),
            mode: instance.lookup_mode(),
            adaptor: 0,
            asker: lookup.asker.filter(|_| home.is_some()).and_then(|asker| clients.peer(asker)),
            is_client: false,
            home,
            offer: Some(offer),
            instance: Some(instance),
        };
        self.ask_plugins(now, clients, lookup, asking, 0, Some(target));
    }

    /// Does what both applications agree to.
    pub(super) fn carry_out(
        &mut self,
        now: Instant,
        clients: &mut Clients,
        lookup: &Lookup,
        target: &Peer,
        offer: Offer,
    ) {
        match offer {
            Offer::Introduction => self.introduce(now, clients, target, lookup),
            Offer::Redirect(addresses) => self.redirect(lookup, &addresses),
        }
    }

    /// Sends an asker to addresses that a policy has named.
    pub(super) fn redirect(&mut self, lookup: &Lookup, addresses: &[TaggedAddress]) {
        self.endpoint.redirect(lookup, addresses);
        self.services.counters.worker(self.index).add(Counter::Redirects);
    }

    /// Nobody who was asked has anything against it.
    pub(super) fn pass(
        &mut self,
        now: Instant,
        clients: &mut Clients,
        lookup: &Lookup,
        asking: Asking,
        target: Option<Peer>,
    ) {
        let instance = asking.instance.as_ref().map(|instance| instance.id());
        match asking.offer {
            Some(offer) => self.consented(now, clients, lookup, instance, target, offer),
            None => self.answer(now, clients, lookup, instance, target),
        }
    }

    /// The target's instance agrees, if the target is still its client: elsewhere somebody else would have to.
    fn consented(
        &mut self,
        now: Instant,
        clients: &mut Clients,
        lookup: &Lookup,
        instance: Option<InstanceId>,
        target: Option<Peer>,
        offer: Offer,
    ) {
        match target.filter(|target| Some(InstanceId(target.instance)) == instance) {
            Some(target) => self.carry_out(now, clients, lookup, &target, offer),
            None => self.services.counters.worker(self.index).add(Counter::UnknownTargets),
        }
    }

    /// Denies a lookup: which policy does, and why.
    pub(super) fn deny_lookup(&self, lookup: &Lookup, instance: Option<&Instance>, policy: &str, reason: &str) {
        self.services.counters.worker(self.index).add(Counter::LookupsDenied);
        let app: &dyn Display = match instance {
            Some(instance) => instance.name(),
            None => &"none",
        };
        introd_log::refused("lookup", lookup.initiator, app, policy, &reason);
    }

    /// A script has answered with addresses.
    pub(super) fn script_redirects(
        &mut self,
        now: Instant,
        clients: &mut Clients,
        pending: PendingLookup,
        addresses: SmallVec<[TaggedAddress; 2]>,
    ) {
        let PendingLookup { lookup, instance, proposal, is_server_introducing, .. } = pending;
        let offer = proposal.map(|proposal| proposal.offer);
        if offer.is_some() {
            self.repeats.forget(&lookup);
        }
        let target = lookup.target.and_then(|target| self.services.directory.lookup(&target));
        let Some(target) = target else {
            self.redirect(&lookup, &addresses);
            return;
        };
        let is_own = InstanceId(target.instance) == instance;
        let said = |addresses: SmallVec<_>| Offer::Redirect(Arc::from(addresses.as_slice()));
        match offer {
            // It is for another instance to agree now.
            Some(_) if !is_own => self.services.counters.worker(self.index).add(Counter::UnknownTargets),
            Some(offer) if is_server_introducing => self.carry_out(now, clients, &lookup, &target, offer),
            None if is_own && is_server_introducing => self.introduce(now, clients, &target, &lookup),
            Some(_) => self.redirect(&lookup, &addresses),
            None if is_own => self.redirect(&lookup, &addresses),
            None => self.propose(now, clients, &lookup, Some(instance), target, said(addresses)),
        }
    }

    /// A script's decision was not to be had, and the settings have the server decide then.
    pub(super) fn script_left_out(&mut self, now: Instant, clients: &mut Clients, pending: PendingLookup) {
        let PendingLookup { lookup, instance, proposal, .. } = pending;
        let offer = proposal.map(|proposal| proposal.offer);
        if offer.is_some() {
            self.repeats.forget(&lookup);
        }
        let target = lookup.target.and_then(|target| self.services.directory.lookup(&target));
        match offer {
            Some(offer) => self.consented(now, clients, &lookup, Some(instance), target, offer),
            None => self.answer(now, clients, &lookup, Some(instance), target),
        }
    }
}
