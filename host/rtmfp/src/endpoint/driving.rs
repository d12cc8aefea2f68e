//! What a driver asks for: events, datagrams, and when to wake up; and how sessions take their turns.

use std::time::Instant;

use rand_core::Rng;

use super::occupant::Occupant;
use super::state::Endpoint;
use crate::event::Event;
use crate::network_prefix::NetworkPrefix;
use crate::session::{Context, Sending, Session};
use crate::session_id::SessionId;
use crate::transmit::Transmit;
use crate::wire::Mode;

/// How long a session yields to time critical data in another (RFC 7016 §3.5.2.1).
const TIME_CRITICAL_MEMORY: std::time::Duration = std::time::Duration::from_millis(800);

/// How many timers that are due are handled in one call: some ten milliseconds of work, where many sessions end.
pub(super) const MAX_DUE: usize = 1024;

impl Endpoint {
    pub(super) fn note_time_critical(&mut self, now: Instant, id: SessionId) {
        if self.time_critical[0].is_some_and(|(last, _)| last != id) {
            self.time_critical[1] = self.time_critical[0];
        }
        self.time_critical[0] = Some((id, now));
    }

    /// RFC 7016 §3.5.2.1: has another session received time critical data in the last moments?
    pub(super) fn others_are_time_critical(&self, now: Instant, id: SessionId) -> bool {
        self.time_critical
            .iter()
            .flatten()
            .any(|(other, at)| *other != id && now.saturating_duration_since(*at) < TIME_CRITICAL_MEMORY)
    }

    /// Does what has become due. To be called when the time that [`Self::poll_timeout`] named has come; earlier does no harm.
    ///
    /// When it is called much later, the driver stood still ([`Self::standstill`]): that time does not count as silence of the peers,
    /// and each session has time for a ping and its reply before it is given up. The driver should first hand over the datagrams that
    /// wait in its sockets.
    ///
    /// If thousands of sessions are due at a time, some of them are left for the next call, so that the driver can do other things between
    /// two calls: [`Self::poll_timeout`] names a time that has passed then.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.startup_sealer.set_time(now);
        self.forgive_standstill(now);
        self.used_cookies.forget_old(now);
        self.left_due = None;
        for handled in 1.. {
            let Some((at, id)) = self.timers.pop(now) else { return };
            match self.slots.get_mut(id) {
                Some(Occupant::Session(session)) if session.armed == Some(at) => {
                    session.armed = None;
                    let is_due = session.deadline(&self.config).is_some_and(|deadline| deadline <= now);
                    self.with_session(now, id, |session, context| {
                        if is_due {
                            session.handle_timeout(context);
                        }
                    });
                }
                Some(Occupant::Initiation(initiation)) if initiation.armed == Some(at) => {
                    initiation.armed = None;
                    self.run_initiation(now, id);
                }
                _ => (),
            }
            if handled == MAX_DUE {
                self.left_due = Some(now);
                return;
            }
        }
    }

    /// The next event. To be called until it returns `None` after anything was handled.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Appends the next datagram to `out`, and says where it is to go. What is in `out` already stays as it is. To be called until it
    /// returns `None` after anything was handled.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        if let Some(transmit) = self.outbox.pop(out) {
            return Some(transmit);
        }
        while let Some(&id) = self.queue.front() {
            let is_yielding = self.others_are_time_critical(now, id);
            let mut is_more = false;
            let transmit = match self.slots.get_mut(id) {
                Some(Occupant::Session(session)) => {
                    let rng = &mut self.rng;
                    let mut sending = Sending {
                        now,
                        config: &self.config,
                        outbox: &mut self.outbox,
                        spare_buffers: &mut self.spare_buffers,
                        counters: &mut self.counters,
                        random: &mut |bytes| rng.fill_bytes(bytes),
                        time_critical_reverse: is_yielding,
                    };
                    let transmit = session.fill(&mut sending, out);
                    is_more = transmit.is_some() && session.wants_transmit(now);
                    let (id, deadline) = (id, session.deadline(&self.config));
                    self.timers.arm(now, id, &mut session.armed, deadline);
                    session.is_queued = is_more;
                    transmit
                }
                _ => None,
            };
            self.queue.pop_front();
            if is_more {
                // To the end: the sessions take turns.
                self.queue.push_back(id);
            } else {
                self.settle(id);
            }
            if transmit.is_some() {
                return transmit;
            }
        }
        None
    }

    /// When [`Self::handle_timeout`] is to be called, unless something else happens before. To be asked after draining.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Runs `work` on a session, then updates the endpoint's tables. `None` when there is no such session.
    pub(super) fn with_session<T>(
        &mut self,
        now: Instant,
        id: SessionId,
        work: impl FnOnce(&mut Session, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let Some(Occupant::Session(session)) = self.slots.get_mut(id) else { return None };
        let rng = &mut self.rng;
        let mut context = Context {
            now,
            id,
            config: &self.config,
            events: &mut self.events,
            outbox: &mut self.outbox,
            forwarded: &mut self.forwarded,
            fragments: &mut self.session_fragments,
            spare_buffers: &mut self.spare_buffers,
            counters: &mut self.counters,
            random: &mut |bytes| rng.fill_bytes(bytes),
        };
        let (was_open, address) = (session.is_open(), session.transmit().to);
        let result = work(session, &mut context);
        let is_open = session.is_open();
        let (peer, moved_to) = (session.identity().peer_id, session.transmit().to);
        if !session.is_queued && session.wants_transmit(now) {
            session.is_queued = true;
            self.queue.push_back(id);
        }
        let deadline = session.deadline(&self.config);
        self.timers.arm(now, id, &mut session.armed, deadline);
        let buffered = session.bytes_buffered();
        self.buffered = self.buffered + buffered - std::mem::replace(&mut session.buffered, buffered);
        if session.role() == Mode::Responder && moved_to != address {
            let (from, to) = (NetworkPrefix::of(address.ip()), NetworkPrefix::of(moved_to.ip()));
            self.config.sessions_by_prefix.moved(from, to);
        }
        if was_open && (!is_open || moved_to != address) {
            self.by_address.remove(&address, id, &self.slots);
            if is_open {
                self.by_address.insert(id, &self.slots);
            } else {
                self.by_peer.remove(&peer, id, &self.slots);
            }
        }
        self.settle(id);
        self.make_room(now);
        Some(result)
    }

    /// Frees the slot of a session that is over and has sent what it had to send.
    ///
    /// If its initiator never showed that it got the answer to its keying, the keying may come again and open another session: all answers
    /// may have been lost, and a cookie that is taken for used would leave the initiator without one until it gives up.
    pub(super) fn settle(&mut self, id: SessionId) {
        if let Some(Occupant::Session(session)) = self.slots.get(id)
            && session.is_closed()
            && !session.is_queued
        {
            if let Some(cookie) = session.unproven_cookie() {
                self.used_cookies.release(&cookie);
            }
            if session.role() == Mode::Responder {
                self.config.sessions_by_prefix.remove(NetworkPrefix::of(session.transmit().to.ip()));
            }
            self.slots.remove(id);
        }
    }
}
