//! Keying jobs: given to the driver, and taken back with their results.

use std::time::Instant;

use super::occupant::Occupant;
use super::state::Endpoint;
use crate::event::Event;
use crate::session_id::SessionId;
use crate::startup::initiator_keying::InitiatorKeying;
use crate::startup::keying_job::{KeyingDone, KeyingJob, Outcome};
use crate::startup::revealed_keys::RevealedKeys;
use crate::wire::Mode;

impl Endpoint {
    pub(super) fn emit(&mut self, job: KeyingJob) {
        self.keying_jobs += 1;
        self.events.push_back(Event::Keying(job));
    }

    /// Drops a [`KeyingJob`] that answers an initiator, for a driver that has too many; the initiator will repeat its keying. A job
    /// for a session that this end begins cannot be refused: run it, or give the session up.
    pub fn refuse_keying(&mut self, job: KeyingJob) {
        if let Ok(KeyingDone(Outcome::Refused { keying })) = job.refuse() {
            self.keying_jobs = self.keying_jobs.saturating_sub(1);
            self.refused(&keying);
        }
    }

    pub(super) fn refused(&mut self, keying: &InitiatorKeying) {
        self.keying_jobs_by_prefix.remove(keying.prefix());
        self.used_cookies.release(&keying.cookie);
        self.counters.overload += 1;
    }

    /// Takes in the result of a [`KeyingJob`].
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

    pub(super) fn opened(&mut self, now: Instant, id: SessionId, revealed: Option<Box<RevealedKeys>>) {
        let Some(Occupant::Session(session)) = self.slots.get(id) else { return };
        self.counters.sessions_opened += 1;
        let is_initiator = session.role() == Mode::Initiator;
        self.by_address.insert(id, &self.slots);
        self.by_peer.insert(id, &self.slots);
        if let Some(keys) = revealed {
            self.events.push_back(Event::Keys { session: id, keys });
        }
        self.events.push_back(Event::Opened { session: id, is_initiator });
        // Arms its timer.
        self.with_session(now, id, |_, _| ());
    }
}
