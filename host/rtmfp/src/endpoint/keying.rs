//! From hellos to sessions: both ends' part in keying (RFC 7016 §3.5.1).

use std::net::SocketAddr;
use std::time::Instant;

use sha2::{Digest, Sha256};

use super::event::{CloseReason, Event, OpenFailure, Refusal, RevealedKeys};
use super::keying_job::{Keyed, KeyingDone, KeyingJob, Outcome, Responded};
use super::{Endpoint, Occupant, SessionId, Transmit};
use crate::NetworkPrefix;
use crate::crypto::cookie::LEN as COOKIE_LEN;
use crate::crypto::keying::accept;
use crate::crypto::{Certificate, Group, Identity, KeyingError, Offer, Verdict};
use crate::session::initiator::{Chosen, Completion};
use crate::session::responder::{Keying, keying_hash};
use crate::session::used_cookies::Use;
use crate::session::{Established, Session};
use crate::wire::Mode;
use crate::wire::chunk::{CookieChange, IIKeying, RHello, RIKeying, Redirect};

impl Endpoint {
    // ---- the initiator's side

    /// Lets a session that is being opened do what is due, and ends it when its time is up.
    pub(super) fn run_initiation(&mut self, now: Instant, id: SessionId) {
        let Some(Occupant::Initiation(initiation)) = self.slots.get_mut(id) else { return };
        let signing = &self.config.signing;
        if initiation.handle_timeout(now, id.get(), signing, &mut self.startup_seal, &mut self.outbox) {
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
        let Some(&id) = <[u8; 16]>::try_from(redirect.tag_echo).ok().and_then(|tag| self.by_tag.get(&tag)) else {
            self.counters.ignored += 1;
            return;
        };
        if let Some(Occupant::Initiation(initiation)) = self.slots.get_mut(id) {
            initiation.redirect(now, transmit.interface, transmit.to, redirect.destinations());
            self.run_initiation(now, id);
        }
    }

    pub(super) fn handle_responder_hello(&mut self, now: Instant, transmit: Transmit, hello: &RHello<'_>) {
        let Some(&id) = <[u8; 16]>::try_from(hello.tag_echo).ok().and_then(|tag| self.by_tag.get(&tag)) else {
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
        initiation.choose(Chosen { certificate: certificate.clone(), cookie: hello.cookie.to_vec(), transmit });
        let job = KeyingJob::offer(seed, &self.config, id, identity, certificate);
        self.emit(now, job);
    }

    /// The session with the holder of this certificate that is open, or nearly.
    fn session_with(&self, certificate: &Certificate) -> Option<SessionId> {
        let open = self.by_peer.get(&certificate.fingerprint(), &self.slots);
        open.or_else(|| {
            self.initiations().find_map(|(id, initiation)| {
                let chosen = initiation.chosen()?;
                (chosen.certificate.fingerprint() == certificate.fingerprint()).then_some(id)
            })
        })
    }

    fn initiations(&self) -> impl Iterator<Item = (SessionId, &crate::session::Initiation)> {
        self.by_tag.values().filter_map(|id| match self.slots.get(*id) {
            Some(Occupant::Initiation(initiation)) => Some((*id, &**initiation)),
            _ => None,
        })
    }

    pub(super) fn handle_responder_keying(&mut self, id: SessionId, payload: &[u8]) {
        let Some(Occupant::Initiation(initiation)) = self.slots.get_mut(id) else { return };
        let Some(completion) = initiation.complete() else {
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
        self.keying_jobs += 1;
        self.events.push_back(Event::Keying(job));
    }

    fn emit(&mut self, _now: Instant, job: KeyingJob) {
        self.keying_jobs += 1;
        self.events.push_back(Event::Keying(job));
    }

    // ---- the responder's side

    pub(super) fn handle_initiator_keying(
        &mut self,
        now: Instant,
        transmit: Transmit,
        keying: &IIKeying<'_>,
        payload: &[u8],
    ) {
        let (context, baked) = match self.cookies.check(now, transmit.to, keying.cookie_echo) {
            Verdict::Valid { context, age } => (context, now.checked_sub(age).unwrap_or(now)),
            Verdict::WrongAddress { context, .. } => {
                self.change_cookie(now, transmit, keying, context);
                return;
            }
            Verdict::Expired | Verdict::Forged => {
                self.counters.bad_cookies += 1;
                return;
            }
        };
        let Some(cookie) = keying.cookie_echo.first_chunk::<16>().copied() else { return };
        let hash = keying_hash(keying);
        match self.used_cookies.check(now, &cookie, &hash) {
            Use::First => (),
            Use::Answered(session) => {
                self.counters.repeated_keyings += 1;
                self.resend_keying(now, transmit, session);
                return;
            }
            Use::Repeated | Use::Spent => {
                self.counters.repeated_keyings += 1;
                return;
            }
        }
        let Ok(certificate) = Certificate::parse(keying.certificate) else {
            self.counters.malformed += 1;
            return;
        };
        if keying.session_id == 0 {
            self.counters.malformed += 1;
            return;
        }
        let Some(identity) = self.identity_of(context).cloned() else { return };
        // Everything that is cheap to test is tested first: nothing is remembered and no job made of what cannot lead to a session.
        let Ok(group) = self.worth_computing(keying, &identity, &certificate) else {
            self.counters.failed_keyings += 1;
            return;
        };
        if self.near_prevails(transmit.to, &certificate) {
            self.counters.ignored += 1;
            return;
        }
        let new = Keying::new(cookie, baked, transmit, certificate, group, payload);
        if !self.may_take_address(now, &new) {
            self.counters.address_taken += 1;
            return;
        }
        if let Err(reason) = self.has_room(new.prefix()) {
            match reason {
                Refusal::Sessions | Refusal::Keyings => self.counters.overload += 1,
                Refusal::SessionsOfPrefix | Refusal::KeyingsOfPrefix => self.counters.over_share += 1,
            }
            self.events.push_back(Event::Refused { from: transmit.to, reason });
            return;
        }
        self.used_cookies.insert(now, cookie, hash, new.prefix());
        self.keying_jobs_by_prefix.add(new.prefix());
        let seed = self.seed();
        let job = KeyingJob::respond(seed, &self.config, identity, new);
        self.emit(now, job);
    }

    /// The tests of a keying that need no exponentiation; gives the group that the initiator chose.
    fn worth_computing(
        &self,
        keying: &IIKeying<'_>,
        identity: &Identity,
        certificate: &Certificate,
    ) -> Result<Group, KeyingError> {
        // RFC 7016 §2.3.7: the initiator signs its parameters.
        if !self.config.signing.accepts_initiator(keying.signature, keying.signed_parameters) {
            return Err(KeyingError::SignatureRequired);
        }
        accept(identity, certificate, keying.component, &self.config.keying).map(|acceptable| acceptable.group)
    }

    /// Is there room for one more keying, and one more session, of that network?
    ///
    /// A network that has no keying out is let in when all places are taken, so that others cannot take them all.
    fn has_room(&self, prefix: NetworkPrefix) -> Result<(), Refusal> {
        let max = self.config.max_keying_jobs;
        let jobs = self.keying_jobs_by_prefix.get(prefix);
        if jobs >= max.div_ceil(4) {
            return Err(Refusal::KeyingsOfPrefix);
        }
        if self.keying_jobs >= max && (jobs > 0 || self.keying_jobs >= 2 * max) {
            return Err(Refusal::Keyings);
        }
        if self.config.sessions_by_prefix.get(prefix) + jobs >= self.config.max_sessions_per_prefix {
            return Err(Refusal::SessionsOfPrefix);
        }
        if self.slots.len() >= self.config.max_sessions { Err(Refusal::Sessions) } else { Ok(()) }
    }

    /// RFC 7016 §3.5.1.2: the cookie is one of ours, given to another address.
    fn change_cookie(&mut self, now: Instant, transmit: Transmit, keying: &IIKeying<'_>, context: u16) {
        self.counters.cookie_changes += 1;
        let answer = CookieChange::payload_len(keying.cookie_echo.len(), COOKIE_LEN);
        if !self.is_earned(now, transmit, self.startup_seal.datagrams(answer)) {
            return;
        }
        let new_cookie = self.cookies.bake(now, transmit.to, context, &mut self.rng);
        let change = CookieChange { old_cookie: keying.cookie_echo, new_cookie: &new_cookie };
        if !self.startup_seal.push(&mut self.outbox, transmit, keying.session_id, |out| change.put(out)) {
            self.counters.outbox_full += 1;
        }
    }

    /// RFC 7016 §3.5.1.1.2, point 2.1: the initiator did not get the answer, and gets it again.
    fn resend_keying(&mut self, now: Instant, transmit: Transmit, session: SessionId) {
        if let Some(Occupant::Session(session)) = self.slots.get_mut(session)
            && let Some(datagram) = session.repeat_rikeying(now)
            && self.earnings.earn(now, transmit.to.ip(), self.received, datagram.len())
            && !self.outbox.push(transmit, |out| out.extend_from_slice(datagram))
        {
            self.counters.outbox_full += 1;
        }
    }

    /// RFC 7016 §3.5.1.3, RFC 7425 §4.3.6: both ends open a session to each other; is this end's the one to go on?
    fn near_prevails(&self, from: SocketAddr, far: &Certificate) -> bool {
        let Some(identity) = self.config.identities.first() else { return false };
        identity.certificate().prevails_in_glare(far)
            && self.initiations().any(|(_, initiation)| initiation.glares(from, far))
    }

    /// RFC 7016 §3.5.1.1.2, points 2.2 and 2.3: an open session's address can be taken over by the same endpoint only. Others
    /// wait until the session there is known to be dead.
    ///
    /// A new beginning of the same endpoint has a cookie from after the session's. A keying with an older one is the late rest
    /// of an attempt that was given up, in glare for example, and must not end what came of the other.
    fn may_take_address(&mut self, now: Instant, keying: &Keying) -> bool {
        let Some(holder) = self.by_address.get(&keying.from(), &self.slots) else { return true };
        self.with_session(now, holder, |session, _| {
            let is_same = session.identity().certificate_hash == keying.certificate_hash;
            if !is_same {
                session.suspect(now);
            }
            is_same && keying.baked >= session.opened()
        })
        .unwrap_or(true)
    }

    // ---- what the jobs came to

    /// Drops a [`KeyingJob`] that answers an initiator, for a driver that has had enough of them; the initiator will repeat its
    /// keying. A job for a session that this end begins is not to be refused: run it, or give the session up.
    pub fn refuse_keying(&mut self, job: KeyingJob) {
        if let Ok(KeyingDone(Outcome::Refused { keying })) = job.refuse() {
            self.keying_jobs = self.keying_jobs.saturating_sub(1);
            self.refused(&keying);
        }
    }

    fn refused(&mut self, keying: &Keying) {
        self.keying_jobs_by_prefix.remove(keying.prefix());
        self.used_cookies.release(&keying.cookie);
        self.counters.overload += 1;
    }

    /// Takes in what became of a [`KeyingJob`].
    pub fn keying_done(&mut self, now: Instant, done: KeyingDone) {
        self.keying_jobs = self.keying_jobs.saturating_sub(1);
        match done.0 {
            Outcome::Responded { keying, response } => {
                self.keying_jobs_by_prefix.remove(keying.prefix());
                match response {
                    Ok(response) => self.respond(now, &keying, *response),
                    Err(_) => {
                        self.counters.failed_keyings += 1;
                        self.used_cookies.release(&keying.cookie);
                    }
                }
            }
            Outcome::Refused { keying } => self.refused(&keying),
            Outcome::Offered { session, identity, offer } => {
                self.offered(now, session, offer, identity.certificate().as_bytes());
            }
            Outcome::Completed { session, completion, result } => self.completed(now, session, *completion, result),
        }
    }

    fn respond(&mut self, now: Instant, keying: &Keying, response: Responded) {
        // While the keys were computed this end may have begun to open a session itself, and be the one to go on.
        if self.near_prevails(keying.from(), &keying.certificate) {
            self.counters.ignored += 1;
            self.used_cookies.release(&keying.cookie);
            return;
        }
        // The address may have been taken by then, too.
        if !self.may_take_address(now, keying) {
            self.counters.address_taken += 1;
            self.used_cookies.release(&keying.cookie);
            return;
        }
        if let Some(stale) = self.by_address.get(&keying.from(), &self.slots) {
            self.with_session(now, stale, |session, context| session.abort(context, CloseReason::Overridden, false));
        }
        let far_id = keying.far_id();
        let established = Established {
            role: Mode::Responder,
            far_id,
            transmit: keying.transmit,
            keys: response.keys,
            peer_id: response.peer_id,
            certificate_hash: keying.certificate_hash,
            has_static_keys: keying.certificate.has_static_keys(),
        };
        let session = Box::new(Session::new(now, &self.config, established));
        let Some(id) = self.slots.insert(Occupant::Session(session)) else {
            self.counters.overload += 1;
            self.used_cookies.release(&keying.cookie);
            self.events.push_back(Event::Refused { from: keying.from(), reason: Refusal::Sessions });
            return;
        };
        self.config.sessions_by_prefix.add(keying.prefix());
        let mut rikeying =
            RIKeying { session_id: id.get(), component: &response.component, signature: &[], signed_portion: &[] };
        let mut signed = Vec::new();
        rikeying.put_signed_portion(&mut signed);
        signed.extend_from_slice(keying.component());
        let signature = self.config.signing.sign(&signed);
        rikeying.signature = &signature;
        let mut datagram = Vec::with_capacity(512);
        self.startup_seal.seal(far_id, |out| rikeying.put(out), &mut datagram);
        if !self.outbox.push(keying.transmit, |out| out.extend_from_slice(&datagram)) {
            self.counters.outbox_full += 1;
        }
        if let Some(Occupant::Session(session)) = self.slots.get_mut(id) {
            session.keep_rikeying(datagram.into_boxed_slice());
        }
        self.used_cookies.opened(&keying.cookie, id);
        self.opened(now, id, response.revealed);
        self.yield_to(id, keying.from(), &keying.certificate);
    }

    /// RFC 7016 §3.5.1.3: the far end prevailed, so what this end was opening to it is over.
    fn yield_to(&mut self, id: SessionId, from: SocketAddr, certificate: &Certificate) {
        let glaring: Vec<SessionId> = self
            .initiations()
            .filter(|(_, initiation)| initiation.glares(from, certificate))
            .map(|(id, _)| id)
            .collect();
        for initiation in glaring {
            self.fail(initiation, OpenFailure::Duplicate(id));
        }
    }

    fn offered(
        &mut self,
        now: Instant,
        id: SessionId,
        offer: Result<Box<Offer>, KeyingError>,
        near_certificate: &[u8],
    ) {
        match offer {
            Ok(offer) => {
                if let Some(Occupant::Initiation(initiation)) = self.slots.get_mut(id) {
                    initiation.offer(now, offer, near_certificate);
                    self.run_initiation(now, id);
                }
            }
            Err(error) => {
                self.counters.failed_keyings += 1;
                self.fail(id, OpenFailure::Keying(error.to_string()));
            }
        }
    }

    fn completed(
        &mut self,
        now: Instant,
        id: SessionId,
        completion: Completion,
        result: Result<Box<Keyed>, KeyingError>,
    ) {
        let Some(Occupant::Initiation(initiation)) = self.slots.get_mut(id) else { return };
        let keyed = match result {
            Ok(keyed) if keyed.far_id != 0 => keyed,
            _ => {
                // Anybody can send a packet under the default key: the responder's own answer may still come.
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
            peer_id: completion.certificate.fingerprint(),
            certificate_hash: Sha256::digest(completion.certificate.as_bytes()).into(),
            has_static_keys: completion.certificate.has_static_keys(),
        };
        let session = Box::new(Session::new(now, &self.config, established));
        if let Some(occupant) = self.slots.get_mut(id) {
            *occupant = Occupant::Session(session);
        }
        self.opened(now, id, keyed.revealed);
    }

    fn opened(&mut self, now: Instant, id: SessionId, revealed: Option<Box<RevealedKeys>>) {
        let Some(Occupant::Session(session)) = self.slots.get(id) else { return };
        self.counters.sessions_opened += 1;
        let is_initiator = session.role() == Mode::Initiator;
        self.by_address.insert(id, &self.slots);
        self.by_peer.insert(id, &self.slots);
        if let Some(keys) = revealed {
            self.events.push_back(Event::Keys { session: id, keys });
        }
        self.events.push_back(Event::Opened { session: id, is_initiator });
        // Arms its timers.
        self.with_session(now, id, |_, _| ());
    }
}
