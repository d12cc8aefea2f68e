//! Hellos: to this endpoint, or to a peer that it may be able to introduce (RFC 7016 §3.5.1.1.2, §3.5.1.4, §3.5.1.5).

use std::net::SocketAddr;
use std::time::Instant;

use smallvec::SmallVec;

use super::state::Endpoint;
use crate::config::ForwardedHello;
use crate::crypto::cipher::MAX_SEQUENCE_LEN;
use crate::crypto::{Epd, cookie};
use crate::event::{Deny, Event, Lookup};
use crate::network_prefix::NetworkPrefix;
use crate::session::Forwarded;
use crate::session_id::SessionId;
use crate::startup::sealer::Width;
use crate::transmit::Transmit;
use crate::wire::chunk::{ForwardedIHello, IHello, RHello, Redirect};
use crate::wire::{Origin, TaggedAddress, packet};

/// A hello's discriminator and tag are echoed or kept. A hello with longer ones than these is not answered.
const MAX_EPD: usize = 1024;
const MAX_TAG: usize = 64;

/// The most bytes that a datagram of a session has with one chunk of this payload in it.
fn max_session_datagram(payload: usize, hmac: usize) -> usize {
    let plain = MAX_SEQUENCE_LEN + packet::MAX_HEADER_LEN + packet::CHUNK_HEADER_LEN + payload;
    4 + plain.next_multiple_of(16) + hmac
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
            Some(context) if self.responds() => {
                // When thousands of clients come at once, an answer would only bring the longer keyings that are refused.
                if self.has_room_to_key(NetworkPrefix::of(transmit.to.ip())).is_err() {
                    self.counters.deferred_hellos += 1;
                    return;
                }
                self.send_responder_hello(now, transmit, tag, context);
            }
            Some(_) => self.turn_away(now, transmit, tag),
            None => {
                self.counters.lookups += 1;
                self.events.push_back(Event::Lookup(Lookup {
                    target: epd.fingerprint,
                    epd: SmallVec::from_slice(epd_bytes),
                    initiator: transmit.to,
                    tag: SmallVec::from_slice(tag),
                    interface: transmit.interface,
                    asker: self.by_address.get(&transmit.to, &self.slots),
                    received: self.received,
                }));
            }
        }
    }

    /// The place of the first identity that the discriminator selects.
    fn selected_by(&self, epd: &Epd<'_>) -> Option<u16> {
        let place = self.config.identities.iter().position(|identity| epd.selects(identity.certificate()))?;
        u16::try_from(place).ok()
    }

    /// Sends a responder hello. False when the packet being processed has not earned it.
    fn send_responder_hello(&mut self, now: Instant, transmit: Transmit, tag: &[u8], context: u16) -> bool {
        let Some(identity) = self.config.identities.get(usize::from(context)).cloned() else { return true };
        let certificate = identity.certificate().as_bytes();
        let len = RHello::payload_len(tag.len(), cookie::LEN, certificate.len());
        let is_long = self.startup_sealer.is_long(len);
        let width = if is_long { self.long_hellos.next(transmit.to) } else { Width::Wide };
        if !self.is_earned(now, transmit, self.startup_sealer.datagrams_for(width, len)) {
            return false;
        }
        self.counters.hellos += 1;
        if is_long {
            self.long_hellos.sent(transmit.to, width);
        }
        let cookie = self.cookies.bake(now, transmit.to, context, &mut self.rng);
        let hello = RHello { tag_echo: tag, cookie: &cookie, certificate };
        if !self.startup_sealer.push_for(width, &mut self.outbox, transmit, 0, |out| hello.put(out)) {
            self.counters.outbox_full += 1;
        }
        true
    }

    /// Has the packet being processed, with what came before it from the same network, earned an answer of this many bytes?
    pub(super) fn is_earned(&mut self, now: Instant, transmit: Transmit, answer: usize) -> bool {
        let is_earned = self.earnings.earn(now, transmit.to.ip(), self.received, answer);
        self.counters.unearned += u64::from(!is_earned);
        is_earned
    }

    pub(super) fn handle_forwarded_hello(&mut self, now: Instant, hello: &Forwarded) {
        let transmit = Transmit { interface: hello.interface, to: hello.reply_to };
        let Ok(epd) = Epd::parse(&hello.epd) else { return };
        let Some(context) = self.selected_by(&epd) else { return };
        if hello.tag.len() > MAX_TAG {
            return;
        }
        if !self.responds() {
            self.counters.ignored += 1;
            return;
        }
        // The address of the initiator is not proven: the forwarded hello earns what it would have earned had it come directly.
        self.received = self.startup_sealer.datagrams(IHello::payload_len(hello.epd.len(), hello.tag.len()));
        match self.config.forwarded_hello {
            ForwardedHello::RespondHello => {
                // A certificate with static keys may be too long for one hello. The Implied Redirect opens the way through this
                // end's NAT all the same, so that the initiator's own hello comes through and earns the rest.
                if !self.send_responder_hello(now, transmit, &hello.tag, context) {
                    self.redirect_here(transmit, &hello.tag);
                    let spent = self.startup_sealer.datagrams(Redirect::payload_len(hello.tag.len()));
                    self.earnings.spend(transmit.to.ip(), spent);
                }
            }
            ForwardedHello::ImpliedRedirect => self.redirect_here(transmit, &hello.tag),
            ForwardedHello::Ignore => self.counters.ignored += 1,
        }
    }

    /// RFC 7016 §2.3.5: a redirect without addresses means the address that it comes from. It is shorter than any hello.
    fn redirect_here(&mut self, transmit: Transmit, tag: &[u8]) {
        self.startup_sealer.push(&mut self.outbox, transmit, 0, |out| Redirect::put(tag, &[], out));
    }

    /// Answers a lookup with addresses to try (RFC 7016 §3.5.1.4). No addresses would mean this endpoint's own (§2.3.5), so
    /// nothing is sent then.
    ///
    /// An asker without a session has not proven that it is where it says. It gets no more of the addresses, the first ones, than
    /// keep everything below three bytes for each byte of its hello, together with a [`forward`](Self::forward) of it.
    pub fn redirect(&mut self, lookup: &Lookup, destinations: &[TaggedAddress]) {
        let destinations = match lookup.asker {
            Some(_) => destinations,
            None => destinations.get(..self.addresses_earned(lookup, destinations)).unwrap_or_default(),
        };
        if destinations.is_empty() {
            return;
        }
        let transmit = Transmit { interface: lookup.interface, to: lookup.initiator };
        if !self.startup_sealer.push(&mut self.outbox, transmit, 0, |out| Redirect::put(&lookup.tag, destinations, out))
        {
            self.counters.outbox_full += 1;
        }
    }

    /// How many of these addresses a hello has earned.
    fn addresses_earned(&self, lookup: &Lookup, destinations: &[TaggedAddress]) -> usize {
        let hmac = usize::from(self.config.keying.hmac.length);
        let forwarded = ForwardedIHello {
            epd: &lookup.epd,
            reply_address: TaggedAddress::new(lookup.initiator, Origin::Observed),
            tag: &lookup.tag,
        };
        let budget = (3 * lookup.received).saturating_sub(max_session_datagram(forwarded.payload_len(), hmac));
        self.destinations_within(budget, &lookup.tag, destinations)
    }

    /// Forwards a lookup to the peer of an open session (RFC 7016 §3.5.1.5).
    pub fn forward(&mut self, now: Instant, session: SessionId, lookup: &Lookup) -> Result<(), Deny> {
        self.forward_for(now, session, &lookup.epd, lookup.initiator, &lookup.tag)
    }

    /// As [`Self::forward`], for a hello that came to another endpoint, which says where it came from.
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
        let rate = self.config.max_forwards;
        let share = rate.and_then(|rate| self.forward_shares.share(now, session.get(), initiator.ip(), rate));
        let has_share = rate.is_none() || share.is_some();
        let forwarded = self
            .with_session(now, session, |session, context| session.forward(context, &hello, has_share))
            .unwrap_or(Err(Deny::NoSession));
        if let (Ok(()), Some(share)) = (forwarded, share) {
            self.forward_shares.take(share);
        }
        self.counters.forwards_denied += u64::from(forwarded == Err(Deny::TooOften));
        forwarded
    }
}
