//! Sessions that this end opens: the part of an initiator in keying (RFC 7016 §3.5.1.1.1).

use std::net::SocketAddr;
use std::time::Instant;

use rand_core::Rng;

use super::occupant::Occupant;
use super::state::Endpoint;
use crate::crypto::{Certificate, KeyingError, Offer};
use crate::event::{Event, OpenFailure};
use crate::session::{Established, Session};
use crate::session_id::SessionId;
use crate::startup::initiation::{Chosen, Completion, Initiation, TAG_LEN};
use crate::startup::keying_job::{Keyed, KeyingJob};
use crate::transmit::{InterfaceId, Transmit};
use crate::wire::Mode;
use crate::wire::chunk::{RHello, Redirect};

impl Endpoint {
    /// Opens a session to the endpoint that `epd` selects, at the first of `candidates` that answers; an introducer among them may name
    /// more addresses.
    ///
    /// The outcome is an [`Event::Opened`] or an [`Event::OpenFailed`]. `None` when there is no room for a session.
    pub fn open(&mut self, now: Instant, epd: Vec<u8>, candidates: &[(InterfaceId, SocketAddr)]) -> Option<SessionId> {
        self.startup_sealer.set_time(now);
        let mut tag = [0; TAG_LEN];
        self.rng.fill_bytes(&mut tag);
        let initiation = Initiation::new(now, epd, tag, candidates);
        let id = self.slots.insert(Occupant::Initiation(initiation))?;
        self.by_tag.insert(tag, id);
        self.run_initiation(now, id);
        Some(id)
    }

    /// Sends what is due for a session that is being opened, and ends it when its time is up.
    pub(super) fn run_initiation(&mut self, now: Instant, id: SessionId) {
        let Some(Occupant::Initiation(initiation)) = self.slots.get_mut(id) else { return };
        let signing = &self.config.signing;
        if initiation.handle_timeout(now, id.get(), signing, &mut self.startup_sealer, &mut self.outbox) {
            let deadline = Some(initiation.deadline());
            self.timers.arm(now, id, &mut initiation.armed, deadline);
        } else {
            let reason = match initiation.chosen() {
                Some(chosen) => OpenFailure::KeyingUnanswered(chosen.transmit.to),
                None => OpenFailure::NoAnswer,
            };
            self.fail(id, reason);
        }
    }

    /// Ends a session that did not open.
    pub(super) fn fail(&mut self, id: SessionId, reason: OpenFailure) {
        if let Some(Occupant::Initiation(_)) = self.slots.get(id)
            && let Some(Occupant::Initiation(initiation)) = self.slots.remove(id)
        {
            self.by_tag.remove(&initiation.tag);
            self.events.push_back(Event::OpenFailed { session: id, reason });
        }
    }

    pub(super) fn handle_redirect(&mut self, now: Instant, transmit: Transmit, redirect: &Redirect<'_>) {
        let Some(&id) = <[u8; TAG_LEN]>::try_from(redirect.tag_echo).ok().and_then(|tag| self.by_tag.get(&tag)) else {
            self.counters.ignored += 1;
            return;
        };
        if let Some(Occupant::Initiation(initiation)) = self.slots.get_mut(id) {
            initiation.redirect(now, transmit.interface, transmit.to, redirect.destinations());
            self.run_initiation(now, id);
        }
    }

    pub(super) fn handle_responder_hello(&mut self, transmit: Transmit, hello: &RHello<'_>) {
        let Some(&id) = <[u8; TAG_LEN]>::try_from(hello.tag_echo).ok().and_then(|tag| self.by_tag.get(&tag)) else {
            self.counters.ignored += 1;
            return;
        };
        let Ok(certificate) = Certificate::parse(hello.certificate) else {
            self.counters.malformed += 1;
            return;
        };
        let Some(Occupant::Initiation(initiation)) = self.slots.get(id) else { return };
        if !initiation.wants(&certificate) {
            self.counters.ignored += 1;
            return;
        }
        // RFC 7016 §3.5.1.1.1, point 1: one session between two endpoints is enough.
        if let Some(existing) = self.session_with(&certificate).filter(|existing| *existing != id) {
            self.fail(id, OpenFailure::Duplicate(existing));
            return;
        }
        let Some(identity) = self.config.identities.first().cloned() else { return };
        let seed = self.seed();
        let Some(Occupant::Initiation(initiation)) = self.slots.get_mut(id) else { return };
        let chosen = Chosen { certificate: certificate.clone(), cookie: hello.cookie.to_vec(), transmit };
        if !initiation.choose(chosen) {
            return;
        }
        let job = KeyingJob::offer(seed, &self.config, id, identity, certificate);
        self.emit(job);
    }

    /// The session with the holder of this certificate, be it open or being keyed.
    pub(super) fn session_with(&self, certificate: &Certificate) -> Option<SessionId> {
        let open = self.by_peer.get(&certificate.fingerprint(), &self.slots);
        open.or_else(|| {
            self.initiations().find_map(|(id, initiation)| {
                let chosen = initiation.chosen()?;
                (chosen.certificate.fingerprint() == certificate.fingerprint()).then_some(id)
            })
        })
    }

    pub(super) fn initiations(&self) -> impl Iterator<Item = (SessionId, &Initiation)> {
        self.by_tag.values().filter_map(|id| match self.slots.get(*id) {
            Some(Occupant::Initiation(initiation)) => Some((*id, initiation)),
            _ => None,
        })
    }

    pub(super) fn handle_responder_keying(&mut self, id: SessionId, payload: &[u8]) {
        let Some(Occupant::Initiation(initiation)) = self.slots.get_mut(id) else { return };
        let Some(completion) = initiation.answered() else {
            self.counters.repeated_keyings += 1;
            return;
        };
        let seed = self.seed();
        let near_certificate = self
            .config
            .identities
            .first()
            .map(|identity| identity.certificate().as_bytes().to_vec())
            .unwrap_or_default();
        let job = KeyingJob::complete(seed, &self.config, id, completion, payload, &near_certificate);
        self.emit(job);
    }

    pub(super) fn offered(
        &mut self,
        now: Instant,
        id: SessionId,
        offer: Result<Box<Offer>, KeyingError>,
        near_certificate: &[u8],
    ) {
        match offer {
            Ok(offer) => {
                if let Some(Occupant::Initiation(initiation)) = self.slots.get_mut(id) {
                    initiation.offered(now, offer, near_certificate);
                    self.run_initiation(now, id);
                }
            }
            Err(error) => {
                self.counters.failed_keyings += 1;
                self.fail(id, OpenFailure::Keying(error.to_string()));
            }
        }
    }

    pub(super) fn completed(
        &mut self,
        now: Instant,
        id: SessionId,
        completion: Completion,
        result: Result<Box<Keyed>, KeyingError>,
    ) {
        let Some(Occupant::Initiation(initiation)) = self.slots.get_mut(id) else { return };
        if !initiation.is_completing() {
            return;
        }
        let keyed = match result {
            Ok(keyed) if keyed.far_id != 0 => keyed,
            _ => {
                // Every host can send a packet under the default key: the responder's own answer may still come.
                self.counters.failed_keyings += 1;
                initiation.resume(completion.offer);
                self.run_initiation(now, id);
                return;
            }
        };
        self.by_tag.remove(&initiation.tag);
        let established = Established {
            role: Mode::Initiator,
            far_id: keyed.far_id,
            transmit: completion.transmit,
            keys: keyed.keys,
            certificate: &completion.certificate,
        };
        let session = Session::new(now, &self.config, established);
        if let Some(occupant) = self.slots.get_mut(id) {
            *occupant = Occupant::Session(session);
        }
        self.opened(now, id, keyed.revealed);
    }
}
