//! An endpoint's state as a value, and an endpoint that goes on with it: see [`crate::handover`].

use std::collections::HashMap;
use std::time::Instant;

use super::occupant::Occupant;
use super::state::Endpoint;
use crate::handover::{Clock, CookieRecord, EndpointState, StateError};
use crate::network_prefix::NetworkPrefix;
use crate::session::Session;
use crate::session_id::SessionId;
use crate::startup::initiator_keying::CookieKey;
use crate::transmit::InterfaceId;
use crate::wire::Mode;

impl Endpoint {
    /// The state of all sessions that are open or closing, for [`Self::take_over`]. The endpoint itself does not change: it may go on if the
    /// other one does not.
    ///
    /// Before that, the driver polls all events and datagrams: those that are left are not part of the state.
    pub fn hand_over(&self, now: Instant) -> EndpointState {
        let clock = Clock::new(now);
        let sessions = self.slots.iter().filter_map(|(id, occupant)| match occupant {
            Occupant::Session(session) => session.record(clock, id.get()),
            Occupant::Initiation(_) => None,
        });
        let sessions: Vec<_> = sessions.collect();
        let (generations, free) = self.slots.record();
        let cookies = self.used_cookies.answered().filter_map(|used| match self.slots.get(used.session) {
            Some(Occupant::Session(session)) if session.is_half_open() => Some(CookieRecord {
                cookie: used.cookie,
                keying_hash: used.keying_hash,
                entered: clock.write(used.entered),
                from: session.transmit().to,
                session: used.session.get(),
            }),
            _ => None,
        });
        EndpointState { prefix: self.slots.prefix(), generations, free, sessions, cookies: cookies.collect() }
    }

    /// Goes on with sessions that another endpoint has [handed over](Self::hand_over) at the time `then`. There are no events for
    /// them: the driver asks [`Self::session_ids`]. `interface` gives this driver's name for an interface that the other driver named.
    ///
    /// The endpoint is new, and has the session prefix of the other one.
    ///
    /// # Errors
    /// If the state contradicts itself or has more than the settings allow. The endpoint is of no use then.
    pub fn take_over(
        &mut self,
        now: Instant,
        then: Instant,
        state: EndpointState,
        mut interface: impl FnMut(InterfaceId) -> Option<InterfaceId>,
    ) -> Result<(), StateError> {
        let clock = Clock::new(then);
        if self.slots.prefix() != state.prefix {
            return Err(StateError::Prefix { found: state.prefix, own: self.slots.prefix() });
        }
        if self.slots.len() > 0 {
            return Err(StateError::NotEmpty);
        }
        let cookies: HashMap<u32, CookieKey> =
            state.cookies.iter().map(|cookie| (cookie.session, cookie.cookie)).collect();
        let mut occupants = Vec::with_capacity(state.sessions.len());
        for record in state.sessions {
            let id = SessionId(record.id);
            let near = interface(InterfaceId(record.interface)).ok_or(StateError::Invalid("an interface"))?;
            occupants
                .push((id, Session::from_record(clock, &self.config, near, cookies.get(&record.id).copied(), record)?));
        }
        // Of several sessions of one peer, the youngest is the one that is found.
        occupants.sort_by_key(|(_, session)| session.opened());
        let ids: Vec<SessionId> = occupants.iter().map(|(id, _)| *id).collect();
        let occupants = occupants.into_iter().map(|(id, session)| (id, Occupant::Session(Box::new(session))));
        self.slots.restore(&state.generations, &state.free, occupants)?;
        for id in ids {
            let Some(Occupant::Session(session)) = self.slots.get(id) else { continue };
            if session.role() == Mode::Responder {
                self.config.sessions_by_prefix.add(NetworkPrefix::of(session.transmit().to.ip()));
            }
            if session.is_open() {
                self.by_address.insert(id, &self.slots);
                self.by_peer.insert(id, &self.slots);
            }
            // Arms its timer, and queues it if there is something to send.
            self.with_session(now, id, |_, _| ());
        }
        for cookie in state.cookies {
            let prefix = NetworkPrefix::of(cookie.from.ip());
            self.used_cookies.insert(clock.read(cookie.entered), cookie.cookie, cookie.keying_hash, prefix);
            self.used_cookies.opened(&cookie.cookie, SessionId(cookie.session));
        }
        Ok(())
    }
}
