//! Hellos: for this endpoint, or for somebody that it may know (RFC 7016 §3.5.1.1.2, §3.5.1.4, §3.5.1.5).

use std::net::SocketAddr;
use std::time::Instant;

use rand_core::Rng;
use smallvec::SmallVec;

use super::config::ForwardedHello;
use super::event::{Event, Lookup};
use super::{Endpoint, InterfaceId, SessionId, Transmit};
use crate::crypto::Epd;
use crate::session::Forwarded;
use crate::wire::chunk::{ForwardedIHello, RHello, Redirect};
use crate::wire::{Origin, TaggedAddress};

/// A hello's discriminator and tag are echoed or kept: longer ones than this are not answered.
const MAX_EPD: usize = 1024;
const MAX_TAG: usize = 64;

/// Why a lookup was not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Deny {
    /// The session is not open.
    #[error("no such session")]
    NoSession,
    /// The session has more waiting than it may.
    #[error("the session's queue is full")]
    QueueFull,
}

impl Endpoint {
    pub(super) fn handle_hello(&mut self, now: Instant, transmit: Transmit, epd_bytes: &[u8], tag: &[u8]) {
        if epd_bytes.len() > MAX_EPD || tag.len() > MAX_TAG {
            self.counters.malformed += 1;
            return;
        }
        let Ok(epd) = Epd::parse(epd_bytes) else {
            self.counters.malformed += 1;
            return;
        };
        match self.selected_by(&epd) {
            Some(context) => {
                self.counters.hellos += 1;
                self.send_responder_hello(now, transmit, tag, context);
            }
            None => {
                self.counters.lookups += 1;
                self.events.push_back(Event::Lookup(Lookup {
                    target: epd.fingerprint,
                    epd: SmallVec::from_slice(epd_bytes),
                    initiator: transmit.to,
                    tag: SmallVec::from_slice(tag),
                    interface: transmit.interface,
                    asker: self.by_address.get(&transmit.to, &self.slots),
                }));
            }
        }
    }

    /// The place of the first identity that the discriminator selects.
    fn selected_by(&self, epd: &Epd<'_>) -> Option<u16> {
        let place = self.config.identities.iter().position(|identity| epd.selects(identity.certificate()))?;
        u16::try_from(place).ok()
    }

    fn send_responder_hello(&mut self, now: Instant, transmit: Transmit, tag: &[u8], context: u16) {
        let cookie = self.cookies.bake(now, transmit.to, context, &mut self.rng);
        let Some(identity) = self.config.identities.get(usize::from(context)) else { return };
        let hello = RHello { tag_echo: tag, cookie: &cookie, certificate: identity.certificate().as_bytes() };
        if !self.startup_seal.push(&mut self.outbox, transmit, 0, |out| hello.put(out)) {
            self.counters.outbox_full += 1;
        }
    }

    pub(super) fn handle_forwarded_hello(&mut self, now: Instant, hello: &Forwarded) {
        let transmit = Transmit { interface: hello.interface, to: hello.reply_to };
        let Ok(epd) = Epd::parse(&hello.epd) else { return };
        let Some(context) = self.selected_by(&epd) else { return };
        if hello.tag.len() > MAX_TAG {
            return;
        }
        match self.config.forwarded_hello {
            ForwardedHello::RespondHello => self.send_responder_hello(now, transmit, &hello.tag, context),
            ForwardedHello::ImpliedRedirect => {
                self.startup_seal.push(&mut self.outbox, transmit, 0, |out| Redirect::put(&hello.tag, &[], out));
            }
            ForwardedHello::Ignore => self.counters.ignored += 1,
        }
    }

    /// Answers a lookup with addresses to try (RFC 7016 §3.5.1.4). No addresses would mean this endpoint's own (§2.3.5), so
    /// nothing is sent then.
    pub fn redirect(&mut self, lookup: &Lookup, destinations: &[TaggedAddress]) {
        if destinations.is_empty() {
            return;
        }
        let transmit = Transmit { interface: lookup.interface, to: lookup.initiator };
        if !self.startup_seal.push(&mut self.outbox, transmit, 0, |out| Redirect::put(&lookup.tag, destinations, out)) {
            self.counters.outbox_full += 1;
        }
    }

    /// Passes a lookup on to the peer of an open session (RFC 7016 §3.5.1.5).
    pub fn forward(&mut self, now: Instant, session: SessionId, lookup: &Lookup) -> Result<(), Deny> {
        self.forward_for(now, session, &lookup.epd, lookup.initiator, &lookup.tag)
    }

    /// As [`Self::forward`], for a hello that came to somebody else, who says where it came from.
    pub fn forward_for(
        &mut self,
        now: Instant,
        session: SessionId,
        epd: &[u8],
        initiator: SocketAddr,
        tag: &[u8],
    ) -> Result<(), Deny> {
        let reply_address = TaggedAddress::new(initiator, Origin::Observed);
        let hello = ForwardedIHello { epd, reply_address, tag };
        let is_queued = self
            .with_session(now, session, |session, _| {
                let is_open = session.state() == crate::session::State::Open;
                is_open.then(|| session.forward(&hello))
            })
            .flatten();
        match is_queued {
            None => Err(Deny::NoSession),
            Some(false) => Err(Deny::QueueFull),
            Some(true) => Ok(()),
        }
    }

    /// Opens a session to the endpoint that `epd` selects, by way of the first of `candidates` that answers; an introducer among
    /// them may name more.
    ///
    /// What becomes of it is an [`Event::Opened`] or an [`Event::OpenFailed`]. `None` when there is no room for a session.
    pub fn open(&mut self, now: Instant, epd: Vec<u8>, candidates: &[(InterfaceId, SocketAddr)]) -> Option<SessionId> {
        self.startup_seal.set_time(now);
        let mut tag = [0; crate::session::initiator::TAG_LEN];
        self.rng.fill_bytes(&mut tag);
        let initiation = crate::session::Initiation::new(now, epd, tag, candidates);
        let id = self.slots.insert(super::Occupant::Initiation(Box::new(initiation)))?;
        self.by_tag.insert(tag, id);
        self.run_initiation(now, id);
        Some(id)
    }
}
