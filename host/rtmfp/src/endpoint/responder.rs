//! The part of a responder in keying (RFC 7016 §3.5.1.1.2).

use std::net::SocketAddr;
use std::time::Instant;

use super::occupant::Occupant;
use super::state::Endpoint;
use crate::crypto::keying::accept;
use crate::crypto::{Certificate, CookieVerdict, Group, Identity, KeyingError, cookie};
use crate::event::{CloseReason, Event, OpenFailure, Refusal};
use crate::network_prefix::NetworkPrefix;
use crate::session::{Established, Session};
use crate::session_id::SessionId;
use crate::startup::initiator_keying::{InitiatorKeying, keying_hash};
use crate::startup::keying_job::{KeyingJob, Responded};
use crate::startup::used_cookies::CookieUse;
use crate::transmit::Transmit;
use crate::wire::Mode;
use crate::wire::chunk::{CookieChange, IIKeying, RIKeying};

impl Endpoint {
    pub(super) fn handle_initiator_keying(&mut self, now: Instant, transmit: Transmit, keying: &IIKeying<'_>) {
        let (context, baked) = match self.cookies.check(now, transmit.to, keying.cookie_echo) {
            CookieVerdict::Valid { context, age } => (context, now.checked_sub(age).unwrap_or(now)),
            CookieVerdict::WrongAddress { context, .. } => {
                self.change_cookie(now, transmit, keying, context);
                return;
            }
            CookieVerdict::Expired | CookieVerdict::Forged => {
                self.counters.bad_cookies += 1;
                return;
            }
        };
        let Some(cookie) = keying.cookie_echo.first_chunk::<16>().copied() else { return };
        // When thousands of clients come at once, most keyings find no room, and come again: each costs no more than this.
        let prefix = NetworkPrefix::of(transmit.to.ip());
        if !self.used_cookies.is_used(now, &cookie)
            && let Err(reason) = self.has_room(prefix)
        {
            match reason {
                Refusal::Sessions | Refusal::Keyings => self.counters.overload += 1,
                Refusal::SessionsOfPrefix | Refusal::KeyingsOfPrefix => self.counters.over_share += 1,
            }
            self.events.push_back(Event::Refused { from: transmit.to, reason });
            return;
        }
        let hash = keying_hash(keying);
        match self.used_cookies.check(now, &cookie, &hash) {
            CookieUse::First => (),
            CookieUse::Answered(session) => {
                self.counters.repeated_keyings += 1;
                self.resend_keying(now, transmit, session);
                return;
            }
            CookieUse::Repeated | CookieUse::Spent => {
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
        // Everything that is cheap to test is tested first: a keying that cannot lead to a session is not remembered, and there is no
        // job for it.
        let Ok(group) = self.worth_computing(keying, &identity, &certificate) else {
            self.counters.failed_keyings += 1;
            return;
        };
        if self.near_prevails(transmit.to, &certificate) {
            self.counters.ignored += 1;
            return;
        }
        let new = InitiatorKeying::new(keying, cookie, baked, transmit, certificate, group);
        if !self.may_take_address(now, &new) {
            self.counters.address_taken += 1;
            return;
        }
        self.used_cookies.insert(now, cookie, hash, prefix);
        self.keying_jobs_by_prefix.add(prefix);
        let seed = self.seed();
        let job = KeyingJob::respond(seed, &self.config, identity, new);
        self.emit(job);
    }

    /// Makes the tests of a keying that need no exponentiation, and gives the group that the initiator chose.
    pub(super) fn worth_computing(
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
    pub(super) fn has_room(&self, prefix: NetworkPrefix) -> Result<(), Refusal> {
        let jobs = self.has_room_to_key(prefix)?;
        if self.config.sessions_by_prefix.get(prefix) + jobs >= self.config.max_sessions_per_prefix {
            return Err(Refusal::SessionsOfPrefix);
        }
        if self.slots.len() >= self.config.max_sessions { Err(Refusal::Sessions) } else { Ok(()) }
    }

    /// Is there room for one more keying of that network? Gives how many are being worked on.
    ///
    /// A network without a pending keying is admitted even when all places are taken, so that other networks cannot take them all: the driver
    /// then gives up a job of a network that has several. If none has several, all places are taken by as many networks, and there is no room.
    pub(super) fn has_room_to_key(&self, prefix: NetworkPrefix) -> Result<usize, Refusal> {
        let max = self.config.max_keying_jobs;
        let jobs = self.keying_jobs_by_prefix.get(prefix);
        if jobs >= max.div_ceil(4) {
            return Err(Refusal::KeyingsOfPrefix);
        }
        let is_to_be_had = || jobs == 0 && self.keying_jobs < 2 * max && self.keying_jobs_by_prefix.is_any_above_one();
        if self.keying_jobs >= max && !is_to_be_had() {
            return Err(Refusal::Keyings);
        }
        Ok(jobs)
    }

    /// RFC 7016 §3.5.1.2: the cookie is one of this end's, given to another address. Answers with a new one.
    pub(super) fn change_cookie(&mut self, now: Instant, transmit: Transmit, keying: &IIKeying<'_>, context: u16) {
        if !self.responds() {
            // A handshake under way may end here, but none may be kept under way for ever.
            self.counters.turned_away += 1;
            return;
        }
        self.counters.cookie_changes += 1;
        let answer = CookieChange::payload_len(keying.cookie_echo.len(), cookie::LEN);
        if !self.is_earned(now, transmit, self.startup_sealer.datagrams(answer)) {
            return;
        }
        let new_cookie = self.cookies.bake(now, transmit.to, context, &mut self.rng);
        let change = CookieChange { old_cookie: keying.cookie_echo, new_cookie: &new_cookie };
        if !self.startup_sealer.push(&mut self.outbox, transmit, keying.session_id, |out| change.put(out)) {
            self.counters.outbox_full += 1;
        }
    }

    /// RFC 7016 §3.5.1.1.2, point 2.1: the initiator did not receive the answer. Sends it again.
    pub(super) fn resend_keying(&mut self, now: Instant, transmit: Transmit, session: SessionId) {
        if let Some(Occupant::Session(session)) = self.slots.get_mut(session)
            && let Some(datagram) = session.repeat_rikeying(now)
            && self.earnings.earn(now, transmit.to.ip(), self.received, datagram.len())
            && !self.outbox.push(transmit, |out| out.extend_from_slice(datagram))
        {
            self.counters.outbox_full += 1;
        }
    }

    /// RFC 7016 §3.5.1.3, RFC 7425 §4.3.6: do both ends open a session to each other, and does this end's attempt go on?
    pub(super) fn near_prevails(&self, from: SocketAddr, far: &Certificate) -> bool {
        let Some(identity) = self.config.identities.first() else { return false };
        identity.certificate().prevails_in_glare(far)
            && self.initiations().any(|(_, initiation)| initiation.glares(from, far))
    }

    /// RFC 7016 §3.5.1.1.2, points 2.2 and 2.3: only the same endpoint can take the address of an open session over. Others
    /// wait until the session there is known to be dead.
    ///
    /// When the same endpoint begins anew, its cookie is younger than the session. A keying with an older one belongs to an attempt that
    /// was given up, in glare for example, and must not end the session that came of the other attempt.
    pub(super) fn may_take_address(&mut self, now: Instant, keying: &InitiatorKeying) -> bool {
        let Some(holder) = self.by_address.get(&keying.from(), &self.slots) else { return true };
        self.with_session(now, holder, |session, _| {
            let is_same = session.identity().has_certificate(&keying.certificate);
            if !is_same {
                session.suspect(now);
            }
            is_same && keying.baked >= session.opened()
        })
        .unwrap_or(true)
    }

    pub(super) fn respond(&mut self, now: Instant, keying: &InitiatorKeying, response: Responded) {
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
        let far_id = keying.far_id;
        let established = Established {
            role: Mode::Responder,
            far_id,
            transmit: keying.transmit,
            keys: response.keys,
            certificate: &keying.certificate,
        };
        let session = Session::new(now, &self.config, established);
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
        signed.extend_from_slice(&keying.component);
        let signature = self.config.signing.sign(&signed);
        rikeying.signature = &signature;
        let mut datagram = Vec::with_capacity(512);
        self.startup_sealer.seal(far_id, |out| rikeying.put(out), &mut datagram);
        if !self.outbox.push(keying.transmit, |out| out.extend_from_slice(&datagram)) {
            self.counters.outbox_full += 1;
        }
        if let Some(Occupant::Session(session)) = self.slots.get_mut(id) {
            session.keep_rikeying(datagram.into_boxed_slice(), keying.cookie);
        }
        self.used_cookies.opened(&keying.cookie, id);
        self.opened(now, id, response.revealed);
        self.yield_to(id, keying.from(), &keying.certificate);
    }

    /// RFC 7016 §3.5.1.3: the far end prevailed, so this end gives up the session that it was opening to it.
    pub(super) fn yield_to(&mut self, id: SessionId, from: SocketAddr, certificate: &Certificate) {
        let glaring: Vec<SessionId> = self
            .initiations()
            .filter(|(_, initiation)| initiation.glares(from, certificate))
            .map(|(id, _)| id)
            .collect();
        for initiation in glaring {
            self.fail(initiation, OpenFailure::Duplicate(id));
        }
    }
}
