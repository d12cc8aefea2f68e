//! An endpoint's state as a value, and an endpoint that goes on with it: see [`crate::handover`].

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use super::occupant::Occupant;
use super::state::Endpoint;
use crate::handover::{Clock, CookieRecord, EndpointState, SessionRecord, StateError};
use crate::network_prefix::NetworkPrefix;
use crate::session::Session;
use crate::session_id::SessionId;
use crate::startup::initiator_keying::CookieKey;
use crate::transmit::InterfaceId;
use crate::wire::Mode;

/// A session that an endpoint can go on with, made of its record.
pub struct PreparedSession {
    id: SessionId,
    session: Box<Session>,
    /// The RIKeying datagram, if the initiator has yet to show that it got it. The state tells the cookie to which it belongs.
    rikeying: Option<Vec<u8>>,
}

impl PreparedSession {
    /// Its id.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Where its packets go.
    pub fn far_address(&self) -> SocketAddr {
        self.session.transmit().to
    }
}

/// The record of a session, if that is open or closing.
fn record(id: SessionId, occupant: &Occupant, clock: Clock) -> Option<SessionRecord> {
    match occupant {
        Occupant::Session(session) => session.record(clock, id.get()),
        Occupant::Initiation(_) => None,
    }
}

impl Endpoint {
    /// The state of all sessions that are open or closing, for [`Self::take_over`]. The endpoint itself does not change: it may go on if the
    /// other one does not.
    ///
    /// Before that, the driver polls all events and datagrams: those that are left are not part of the state.
    pub fn hand_over(&self, now: Instant) -> EndpointState {
        let clock = Clock::new(now);
        let sessions = self.slots.iter().filter_map(|(id, occupant)| record(id, occupant, clock));
        self.hand_over_table(clock).with_sessions(sessions.collect())
    }

    /// How many places for sessions there are, some of which may be free.
    pub fn places(&self) -> usize {
        self.slots.places()
    }

    /// The sessions in some of the places: the id of each in wire form, and its record if the session may have changed since this was asked the
    /// last time, or if its id is not known to `is_known`. A session that has not changed has the same record as before if the clock is the
    /// same.
    pub fn session_changes(
        &mut self,
        clock: Clock,
        places: Range<usize>,
        is_known: impl Fn(u32) -> bool,
    ) -> impl Iterator<Item = (u32, Option<SessionRecord>)> {
        self.slots.changes(places).filter_map(move |(id, occupant, is_changed)| {
            let id_and = |record| (id.get(), record);
            match occupant {
                Occupant::Session(_) if !is_changed && is_known(id.get()) => Some(id_and(None)),
                occupant => record(id, occupant, clock).map(Some).map(id_and),
            }
        })
    }

    /// The record of a session, if it is open or closing.
    pub fn session_record(&self, clock: Clock, id: SessionId) -> Option<SessionRecord> {
        record(id, self.slots.get(id)?, clock)
    }

    /// The state without its sessions.
    pub fn hand_over_table(&self, clock: Clock) -> EndpointState {
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
        let (prefix, cookies) = (self.slots.prefix(), cookies.collect());
        EndpointState { prefix, generations, free, sessions: Vec::new(), cookies }
    }

    /// Makes the sessions of a state that another endpoint has [handed over](Self::hand_over), for [`Self::take_over`]. Their times count from
    /// `then`, which the other endpoint's clock has for its origin. `interface` gives this driver's name for an interface that the other driver named.
    ///
    /// # Errors
    /// If a record contradicts itself.
    pub fn prepare(
        &self,
        then: Instant,
        state: EndpointState,
        mut interface: impl FnMut(InterfaceId) -> Option<InterfaceId>,
    ) -> Result<Vec<PreparedSession>, StateError> {
        let clock = Clock::new(then);
        let session = |mut record: SessionRecord| {
            let (id, rikeying) = (SessionId(record.id), record.rikeying.take());
            let near = interface(InterfaceId(record.interface)).ok_or(StateError::Invalid("an interface"))?;
            let session = Box::new(Session::from_record(clock, &self.config, near, record)?);
            Ok(PreparedSession { id, session, rikeying })
        };
        state.sessions.into_iter().map(session).collect()
    }

    /// Goes on with sessions that another endpoint has [handed over](Self::hand_over) at the time `then`: with those in the state, and with those
    /// that are prepared already. There are no events for them: the driver asks [`Self::session_ids`]. `interface` is as for [`Self::prepare`].
    ///
    /// The endpoint is new, and has the session prefix of the other one.
    ///
    /// # Errors
    /// If the state contradicts itself or has more than the settings allow. The endpoint is of no use then.
    pub fn take_over(
        &mut self,
        now: Instant,
        then: Instant,
        mut state: EndpointState,
        prepared: Vec<PreparedSession>,
        interface: impl FnMut(InterfaceId) -> Option<InterfaceId>,
    ) -> Result<(), StateError> {
        let clock = Clock::new(then);
        if self.slots.prefix() != state.prefix {
            return Err(StateError::Prefix { found: state.prefix, own: self.slots.prefix() });
        }
        if self.slots.len() > 0 {
            return Err(StateError::NotEmpty);
        }
        let (generations, free) = (std::mem::take(&mut state.generations), std::mem::take(&mut state.free));
        let cookies = std::mem::take(&mut state.cookies);
        let mut occupants = prepared;
        occupants.extend(self.prepare(then, state, interface)?);
        // Of several sessions of one peer, the youngest is the one that is found.
        occupants.sort_by_cached_key(|prepared| prepared.session.opened());
        let ids: Vec<SessionId> = occupants.iter().map(|prepared| prepared.id).collect();
        let cookie_of: HashMap<u32, CookieKey> = cookies.iter().map(|cookie| (cookie.session, cookie.cookie)).collect();
        let occupants = occupants.into_iter().map(|PreparedSession { id, mut session, rikeying }| {
            if let Some((datagram, cookie)) = rikeying.zip(cookie_of.get(&id.get())) {
                session.keep_rikeying(datagram.into_boxed_slice(), *cookie);
            }
            (id, Occupant::Session(*session))
        });
        self.slots.restore(&generations, &free, occupants)?;
        self.by_address.reserve(ids.len(), &self.slots);
        self.by_peer.reserve(ids.len(), &self.slots);
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
        for cookie in cookies {
            let prefix = NetworkPrefix::of(cookie.from.ip());
            self.used_cookies.insert(clock.read(cookie.entered), cookie.cookie, cookie.keying_hash, prefix);
            self.used_cookies.opened(&cookie.cookie, SessionId(cookie.session));
        }
        Ok(())
    }
}
