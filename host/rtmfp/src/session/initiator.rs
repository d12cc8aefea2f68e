//! Opening a session: the initiator's side (RFC 7016 §3.5.1.1.1, cookie change §3.5.1.2).

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::crypto::{Certificate, Epd, Offer, Signing};
use crate::endpoint::{InterfaceId, Outbox, StartupSeal, Transmit};
use crate::wire::chunk::{IHello, IIKeying};
use crate::wire::{Origin, TaggedAddress};

/// The ultimate open timeout.
const OPEN_TIMEOUT: Duration = Duration::from_secs(95);
/// REDIRECT_THRESHOLD: redirects add no candidates beyond so many.
const REDIRECT_THRESHOLD: usize = 24;
/// Redirects add no more ports of one IP address than this: what introducers relay may be what a peer made up to have others aim at
/// somebody.
const MAX_PORTS: usize = 4;
/// To an address that the peer only reported, so many hellos are sent, in some 20 s: where it has been seen is what counts.
const REPORTED_HELLOS: u8 = 6;
/// How long the first hello or keying is waited for; each repetition is waited for this much more than the one before.
const FIRST_WAIT: Duration = Duration::from_millis(1000);
const MORE_WAIT: Duration = Duration::from_millis(1500);
/// A hello to where an introducer has seen the peer, and every other one when it is repeated, is padded to so many bytes: a responder
/// whose certificate has lasting keys may not answer a stranger's shorter one, for it would send three times as much.
const LONG_HELLO: usize = 420;
/// RFC 7016 §2.2.4.
const PADDING: u8 = 0xff;
/// Tags are to be hard to guess (at least 8 bytes); 16 is what Flash's peers use, and some take nothing else.
pub(crate) const TAG_LEN: usize = 16;

/// When something that got no answer is sent again.
#[derive(Clone, Copy, Debug)]
struct Backoff {
    wait: Duration,
    next: Instant,
}

impl Backoff {
    /// The first time is now.
    fn new(now: Instant) -> Self {
        Self { wait: FIRST_WAIT, next: now }
    }

    /// It was done before.
    fn is_repetition(&self) -> bool {
        self.wait > FIRST_WAIT
    }

    /// Is it time? If so, the next time is set.
    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = now >= self.next;
        if is_due {
            self.next = now + self.wait;
            self.wait += MORE_WAIT;
        }
        is_due
    }
}

struct Candidate {
    transmit: Transmit,
    backoff: Backoff,
    /// How many more hellos are sent; `None`: until the time is up.
    left: Option<u8>,
    /// An introducer has seen the peer there.
    is_observed: bool,
}

/// A session that this end opens.
pub(crate) struct Initiation {
    epd: Vec<u8>,
    pub(crate) tag: [u8; TAG_LEN],
    deadline: Instant,
    candidates: Vec<Candidate>,
    stage: Stage,
    /// As in an open session.
    pub(crate) armed: Option<Instant>,
}

enum Stage {
    /// S_IHELLO_SENT
    Hello,
    /// A responder is chosen, and its keying being computed: the beginning of S_KEYING_SENT.
    Offering(Box<Chosen>),
    /// S_KEYING_SENT
    Keying(Box<Keying>),
}

/// The responder whose hello was the first to fit.
pub(crate) struct Chosen {
    pub(crate) certificate: Certificate,
    pub(crate) cookie: Vec<u8>,
    pub(crate) transmit: Transmit,
}

struct Keying {
    chosen: Chosen,
    /// `None` while a responder's answer is being computed.
    offer: Option<Box<Offer>>,
    near_certificate: Vec<u8>,
    cookie_changed: bool,
    backoff: Backoff,
}

/// An answer to the keying, on its way to a [`KeyingJob`](crate::KeyingJob).
pub(crate) struct Completion {
    pub(crate) offer: Box<Offer>,
    pub(crate) certificate: Certificate,
    pub(crate) transmit: Transmit,
}

impl Initiation {
    pub(crate) fn new(
        now: Instant,
        epd: Vec<u8>,
        tag: [u8; TAG_LEN],
        candidates: &[(InterfaceId, SocketAddr)],
    ) -> Self {
        let mut new =
            Self { epd, tag, deadline: now + OPEN_TIMEOUT, candidates: Vec::new(), stage: Stage::Hello, armed: None };
        candidates.iter().for_each(|&(interface, to)| new.add_candidate(now, Transmit { interface, to }, None, false));
        new
    }

    fn add_candidate(&mut self, now: Instant, transmit: Transmit, left: Option<u8>, is_observed: bool) {
        if let Some(known) = self.candidates.iter_mut().find(|known| known.transmit.to == transmit.to) {
            // It has been seen there after all.
            if left.is_none() {
                known.left = None;
            }
            known.is_observed |= is_observed;
        } else if self.candidates.len() < REDIRECT_THRESHOLD && is_reachable(transmit.to) {
            self.candidates.push(Candidate { transmit, backoff: Backoff::new(now), left, is_observed });
        }
    }

    fn ports_of(&self, ip: IpAddr) -> usize {
        self.candidates.iter().filter(|known| known.transmit.to.ip() == ip).count()
    }

    /// Takes in a redirect that echoes the tag; its new addresses are tried at the next [`Self::handle_timeout`].
    ///
    /// An address of unspecified origin does not count: introducers name one to say that the peer is gone.
    pub(crate) fn redirect(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        from: SocketAddr,
        destinations: impl Iterator<Item = TaggedAddress>,
    ) {
        if !matches!(self.stage, Stage::Hello) {
            return;
        }
        let mut is_implied = true;
        for destination in destinations.take(2 * REDIRECT_THRESHOLD) {
            is_implied = false;
            let to = destination.address;
            let is_known = || self.candidates.iter().any(|known| known.transmit.to == to);
            if destination.origin != Origin::Unspecified && (is_known() || self.ports_of(to.ip()) < MAX_PORTS) {
                let left = (destination.origin == Origin::Reported).then_some(REPORTED_HELLOS);
                self.add_candidate(now, Transmit { interface, to }, left, destination.origin == Origin::Observed);
            }
        }
        if is_implied {
            // RFC 7016 §2.3.5: no address means the one that the redirect came from.
            self.add_candidate(now, Transmit { interface, to: from }, None, false);
        }
    }

    /// Does this responder's certificate answer what is wanted, and is an answer still wanted?
    pub(crate) fn wants(&self, certificate: &Certificate) -> bool {
        matches!(self.stage, Stage::Hello) && self.selects(certificate)
    }

    /// Does the endpoint discriminator select this certificate?
    pub(crate) fn selects(&self, certificate: &Certificate) -> bool {
        Epd::parse(&self.epd).is_ok_and(|epd| epd.selects(certificate))
    }

    /// Decides for a responder; its keying is to be computed next.
    pub(crate) fn choose(&mut self, chosen: Chosen) {
        self.stage = Stage::Offering(Box::new(chosen));
    }

    /// The responder decided for, while the keying is being computed.
    pub(crate) fn chosen(&self) -> Option<&Chosen> {
        match &self.stage {
            Stage::Hello => None,
            Stage::Offering(chosen) => Some(chosen),
            Stage::Keying(keying) => Some(&keying.chosen),
        }
    }

    /// The keying is computed, and goes out at the next [`Self::handle_timeout`].
    pub(crate) fn offer(&mut self, now: Instant, offer: Box<Offer>, near_certificate: &[u8]) {
        if let Stage::Offering(chosen) = std::mem::replace(&mut self.stage, Stage::Hello) {
            self.stage = Stage::Keying(Box::new(Keying {
                chosen: *chosen,
                offer: Some(offer),
                near_certificate: near_certificate.to_vec(),
                cookie_changed: false,
                backoff: Backoff::new(now),
            }));
        }
    }

    /// RFC 7016 §3.5.1.2: takes a new cookie, once.
    pub(crate) fn change_cookie(&mut self, now: Instant, old: &[u8], new: &[u8]) {
        if let Stage::Keying(keying) = &mut self.stage
            && !keying.cookie_changed
            && keying.chosen.cookie == old
        {
            keying.cookie_changed = true;
            keying.chosen.cookie = new.to_vec();
            keying.backoff = Backoff::new(now);
        }
    }

    /// The responder has answered the keying; `None` when no answer is awaited.
    pub(crate) fn complete(&mut self) -> Option<Completion> {
        let Stage::Keying(keying) = &mut self.stage else { return None };
        let offer = keying.offer.take()?;
        Some(Completion { offer, certificate: keying.chosen.certificate.clone(), transmit: keying.chosen.transmit })
    }

    /// The answer was not the responder's: another may come.
    pub(crate) fn resume(&mut self, offer: Box<Offer>) {
        if let Stage::Keying(keying) = &mut self.stage {
            keying.offer = Some(offer);
        }
    }

    /// Is the session being opened to the holder of this certificate, who has sent a keying from this address: do both ends
    /// want the same session (RFC 7016 §3.5.1.3)?
    ///
    /// Once a responder is chosen it counts who that is, and not where: an end with several addresses keys from another one.
    pub(crate) fn glares(&self, from: SocketAddr, certificate: &Certificate) -> bool {
        match self.chosen() {
            Some(chosen) => chosen.certificate.fingerprint() == certificate.fingerprint(),
            None => self.candidates.iter().any(|candidate| candidate.transmit.to == from) && self.selects(certificate),
        }
    }

    /// Sends what is due. False when the time is up.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        session_id: u32,
        signing: &Signing,
        seal: &mut StartupSeal,
        outbox: &mut Outbox,
    ) -> bool {
        if now >= self.deadline {
            return false;
        }
        match &mut self.stage {
            Stage::Hello => {
                let hello = IHello { epd: &self.epd, tag: &self.tag };
                for candidate in &mut self.candidates {
                    let is_long = candidate.is_observed || candidate.backoff.is_repetition();
                    if candidate.left != Some(0) && candidate.backoff.is_due(now) {
                        candidate.left = candidate.left.map(|left| left - 1);
                        seal.push(outbox, candidate.transmit, 0, |out| {
                            let is_put = hello.put(out);
                            if is_long {
                                out.resize(out.len().max(LONG_HELLO), PADDING);
                            }
                            is_put
                        });
                    }
                }
            }
            Stage::Offering(_) => (),
            Stage::Keying(keying) => {
                if let Some(offer) = &keying.offer
                    && keying.backoff.is_due(now)
                {
                    let mut iikeying = IIKeying {
                        session_id,
                        cookie_echo: &keying.chosen.cookie,
                        certificate: &keying.near_certificate,
                        component: &offer.component,
                        signature: &[],
                        signed_parameters: &[],
                    };
                    let mut signed = Vec::new();
                    iikeying.put_signed_parameters(&mut signed);
                    let signature = signing.sign(&signed);
                    iikeying.signature = &signature;
                    seal.push(outbox, keying.chosen.transmit, 0, |out| iikeying.put(out));
                }
            }
        }
        true
    }

    /// The driver stood still for so long: no answer could be heard.
    pub(crate) fn stood_still(&mut self, stood: Duration) {
        self.deadline += stood;
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub(crate) fn deadline(&self) -> Instant {
        let next = match &self.stage {
            Stage::Hello => {
                let trying = self.candidates.iter().filter(|candidate| candidate.left != Some(0));
                trying.map(|candidate| candidate.backoff.next).min()
            }
            Stage::Offering(_) => None,
            Stage::Keying(keying) => keying.offer.is_some().then_some(keying.backoff.next),
        };
        next.map_or(self.deadline, |next| next.min(self.deadline))
    }
}

/// Can a packet be sent there at all? What introducers relay from others may be nonsense.
fn is_reachable(address: SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_add_candidates_up_to_the_threshold() {
        let (now, interface) = (crate::test_clock(), InterfaceId(0));
        let server: SocketAddr = "192.0.2.1:1935".parse().unwrap();
        let mut initiation = Initiation::new(now, Vec::new(), [0; TAG_LEN], &[(interface, server)]);
        let redirect = |initiation: &mut Initiation, hosts: std::ops::Range<u16>, origin| {
            let destinations = hosts.map(|host| TaggedAddress::new(([198, 51, 100, host as u8], 1).into(), origin));
            initiation.redirect(now, interface, server, destinations);
            initiation.candidates.len()
        };
        assert_eq!(redirect(&mut initiation, 1..4, Origin::Unspecified), 1);
        assert_eq!(redirect(&mut initiation, 1..4, Origin::Reported), 4);
        assert_eq!(redirect(&mut initiation, 1..4, Origin::Observed), 4, "known already");
        assert_eq!(redirect(&mut initiation, 1..40, Origin::Observed), REDIRECT_THRESHOLD);
        assert_eq!(redirect(&mut initiation, 100..140, Origin::Observed), REDIRECT_THRESHOLD);
    }

    #[test]
    fn redirects_aim_few_hellos_at_one_host() {
        let (now, interface) = (crate::test_clock(), InterfaceId(0));
        let server: SocketAddr = "192.0.2.1:1935".parse().unwrap();
        let mut initiation = Initiation::new(now, Vec::new(), [0; TAG_LEN], &[(interface, server)]);
        let victim = |port| TaggedAddress::new(([198, 51, 100, 1], port).into(), Origin::Reported);
        let mut seal = StartupSeal::new(now, 1192);
        let (mut sent, mut datagram) = (0, Vec::new());
        for millis in (0..95_000).step_by(250) {
            let at = now + Duration::from_millis(millis);
            // Introducers repeat themselves.
            initiation.redirect(at, interface, server, (1..=40).map(victim));
            let mut outbox = Outbox::default();
            assert!(initiation.handle_timeout(at, 1, &Signing::default(), &mut seal, &mut outbox));
            while let Some(transmit) = outbox.pop(&mut datagram) {
                sent += usize::from(transmit.to.ip() == victim(1).address.ip());
                datagram.clear();
            }
        }
        assert_eq!(sent, MAX_PORTS * usize::from(REPORTED_HELLOS));
    }

    #[test]
    fn the_first_hello_is_long_where_the_peer_has_been_seen_and_each_later_one_everywhere() {
        let (now, interface) = (crate::test_clock(), InterfaceId(0));
        let [server, seen, reported]: [SocketAddr; 3] =
            ["192.0.2.1:1935", "198.51.100.1:1", "198.51.100.2:1"].map(|address| address.parse().unwrap());
        let mut initiation = Initiation::new(now, Vec::new(), [0; TAG_LEN], &[(interface, server)]);
        let destinations = [(seen, Origin::Observed), (reported, Origin::Reported)];
        initiation.redirect(
            now,
            interface,
            server,
            destinations.map(|(to, origin)| TaggedAddress::new(to, origin)).into_iter(),
        );
        let mut seal = StartupSeal::new(now, 1192);
        let mut long_to = |at: Instant| {
            let (mut outbox, mut datagram, mut long) = (Outbox::default(), Vec::new(), Vec::new());
            assert!(initiation.handle_timeout(at, 1, &Signing::default(), &mut seal, &mut outbox));
            while let Some(transmit) = outbox.pop(&mut datagram) {
                long.extend((3 * datagram.len() > 1192).then_some(transmit.to));
                datagram.clear();
            }
            long
        };
        assert_eq!(long_to(now), [seen]);
        assert_eq!(long_to(now + FIRST_WAIT), [server, seen, reported]);
    }

    /// RFC 7016 §3.5.1.1.1.
    #[test]
    fn repetitions_are_further_apart_each_time() {
        let now = crate::test_clock();
        let mut backoff = Backoff::new(now);
        let mut waits = Vec::new();
        let mut at = now;
        for _ in 0..4 {
            assert!(backoff.is_due(at) && !backoff.is_due(at));
            waits.push((backoff.next - at).as_millis());
            at = backoff.next;
        }
        assert_eq!(waits, [1000, 2500, 4000, 5500]);
    }
}
