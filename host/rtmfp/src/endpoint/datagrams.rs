//! Datagrams that come in: to which session they belong, and what startup packets do.

use std::net::SocketAddr;
use std::time::Instant;

use super::occupant::Occupant;
use super::state::Endpoint;
use crate::crypto::cipher;
use crate::event::Event;
use crate::session::budget::Admission;
use crate::session::{Context, Received, Session};
use crate::session_id::SessionId;
use crate::startup::fragments;
use crate::transmit::{InterfaceId, Transmit};
use crate::wire::{Chunk, Mode, PacketHeader, packet};

impl Endpoint {
    /// Takes in a datagram that came by `interface` from `from`. It is deciphered in place.
    pub fn handle_datagram(&mut self, now: Instant, interface: InterfaceId, from: SocketAddr, datagram: &mut [u8]) {
        self.counters.datagrams += 1;
        self.startup_sealer.set_time(now);
        let transmit = Transmit { interface, to: from };
        match cipher::session_id(datagram) {
            None => self.counters.malformed += 1,
            Some(0) => self.handle_startup(now, transmit, None, datagram),
            Some(id) => match self.slots.id(id) {
                None => self.counters.unknown_session += 1,
                Some(id) => match self.slots.get_mut(id) {
                    Some(Occupant::Initiation(_)) => self.handle_startup(now, transmit, Some(id), datagram),
                    _ => self.handle_session_datagram(now, transmit, id, datagram),
                },
            },
        }
    }

    /// Startup packets: addressed to no session, or to one that is being opened (RFC 7016 §2.3.6, §2.3.8).
    pub(super) fn handle_startup(
        &mut self,
        now: Instant,
        transmit: Transmit,
        session: Option<SessionId>,
        datagram: &mut [u8],
    ) {
        let len = datagram.len();
        let Ok(mut plain) = self.startup_opener.open(datagram) else {
            self.counters.unverified += 1;
            return;
        };
        let is_startup = PacketHeader::take(&mut plain).is_ok_and(|header| header.mode == Mode::Startup);
        if !is_startup {
            self.counters.malformed += 1;
            return;
        }
        self.is_answered = false;
        self.received = len;
        for raw in packet::chunks(plain) {
            match Chunk::parse(raw) {
                Ok(Chunk::PacketFragment(fragment)) => {
                    let session_id = session.map_or(0, SessionId::get);
                    if let Some(whole) = self.fragments.add(now, transmit.to, session_id, &fragment) {
                        self.received = whole.len() + fragments::MIN_OVERHEAD;
                        self.handle_whole(now, transmit, session, &whole);
                        self.received = len;
                    }
                }
                Ok(chunk) => self.handle_startup_chunk(now, transmit, session, &chunk, raw.payload),
                Err(_) => self.counters.malformed += 1,
            }
        }
    }

    /// A packet that came in fragments; one whose mode is not that of its fragments is dropped (RFC 7016 §3.4).
    pub(super) fn handle_whole(
        &mut self,
        now: Instant,
        transmit: Transmit,
        session: Option<SessionId>,
        mut plain: &[u8],
    ) {
        if PacketHeader::take(&mut plain).is_ok_and(|header| header.mode == Mode::Startup) {
            for raw in packet::chunks(plain) {
                match Chunk::parse(raw) {
                    Ok(chunk) => self.handle_startup_chunk(now, transmit, session, &chunk, raw.payload),
                    Err(_) => self.counters.malformed += 1,
                }
            }
        } else {
            self.counters.malformed += 1;
        }
    }

    pub(super) fn handle_startup_chunk(
        &mut self,
        now: Instant,
        transmit: Transmit,
        session: Option<SessionId>,
        chunk: &Chunk<'_>,
        payload: &[u8],
    ) {
        match (session, chunk) {
            // What an unproven packet earns must not grow with the number of its chunks: it has one hello or one keying.
            (None, Chunk::IHello(_) | Chunk::IIKeying(_)) if std::mem::replace(&mut self.is_answered, true) => {
                self.counters.ignored += 1;
            }
            (None, Chunk::IHello(hello)) => self.handle_hello(now, transmit, hello.epd, hello.tag),
            (None, Chunk::RHello(hello)) => self.handle_responder_hello(transmit, hello),
            (None, Chunk::Redirect(redirect)) => self.handle_redirect(now, transmit, redirect),
            (None, Chunk::IIKeying(keying)) => self.handle_initiator_keying(now, transmit, keying),
            (Some(id), Chunk::RIKeying(_)) => self.handle_responder_keying(id, payload),
            (Some(id), Chunk::CookieChange(change)) => {
                if let Some(Occupant::Initiation(initiation)) = self.slots.get_mut(id) {
                    initiation.change_cookie(now, change.old_cookie, change.new_cookie);
                    self.run_initiation(now, id);
                }
            }
            // RFC 7016 §2.3: a chunk in a packet of the wrong mode is ignored, and so is an unknown one.
            _ => self.counters.ignored += 1,
        }
    }

    pub(super) fn handle_session_datagram(
        &mut self,
        now: Instant,
        transmit: Transmit,
        id: SessionId,
        datagram: &mut [u8],
    ) {
        if !self.is_admitted(now, id) {
            self.counters.over_budget += 1;
            return;
        }
        let Transmit { interface, to: from } = transmit;
        let receive =
            |session: &mut Session, context: &mut Context<'_>| session.receive(context, interface, from, datagram);
        let Some(received) = self.with_session(now, id, receive) else { return };
        match received {
            Received::Rejected(cipher::Rejected::Duplicate) => self.counters.duplicates += 1,
            Received::Rejected(_) => self.counters.unverified += 1,
            Received::Misfit => self.counters.malformed += 1,
            Received::Processed { time_critical } => {
                if time_critical {
                    self.note_time_critical(now, id);
                }
            }
        }
        while let Some(hello) = self.forwarded.pop() {
            self.handle_forwarded_hello(now, &hello);
        }
    }

    /// Is a session's datagram read? Not while the session has used up its share of work.
    pub(super) fn is_admitted(&mut self, now: Instant, id: SessionId) -> bool {
        let Some(limit) = self.config.max_work else { return true };
        let Some(Occupant::Session(session)) = self.slots.get_mut(id) else { return true };
        let admission = session.admit(now, limit.get());
        if matches!(admission, Admission::Slow | Admission::TooLong) {
            let is_persistent = admission == Admission::TooLong;
            self.events.push_back(Event::Overspent { session: id, is_persistent });
        }
        admission == Admission::Take
    }
}
