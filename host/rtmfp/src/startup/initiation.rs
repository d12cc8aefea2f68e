//! A session that this end opens, until it is open (RFC 7016 §3.5.1.1.1, cookie change §3.5.1.2).
//!
//! Each stage is a type of its own, and what leads to the next stage consumes it: an event that belongs to another stage finds no
//! method to call, and changes nothing.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::candidates::Candidates;
use super::sealer::{StartupSealer, Width};
use crate::crypto::{Certificate, Epd, Offer, Signing};
use crate::moment::Moment;
use crate::outbox::Outbox;
use crate::transmit::{InterfaceId, Transmit};
use crate::wire::TaggedAddress;
use crate::wire::chunk::{IHello, IIKeying};

/// The ultimate open timeout.
const OPEN_TIMEOUT: Duration = Duration::from_secs(95);
/// Tags are to be hard to guess (at least 8 bytes); 16 is what Flash's peers use, and some take nothing else.
pub(crate) const TAG_LEN: usize = 16;

/// A session that this end opens.
pub(crate) struct Initiation {
    epd: Vec<u8>,
    pub(crate) tag: [u8; TAG_LEN],
    deadline: Instant,
    stage: Stage,
    /// The earliest entry among the endpoint's timers, as in an open session.
    pub(crate) armed: Option<Moment>,
}

enum Stage {
    /// S_IHELLO_SENT: hellos go to these addresses.
    Hello(Candidates),
    /// A responder is chosen, and the keying for it is being computed: the beginning of S_KEYING_SENT.
    Offering(Box<Chosen>),
    /// S_KEYING_SENT: the keying is repeated until the responder answers.
    Keying(Box<Keying>),
    /// The responder has answered, and its answer is being computed.
    Completing(Box<Asked>),
    /// Stands here only while [`Initiation::advance`] runs.
    Between,
}

/// The responder whose hello was the first to fit.
pub(crate) struct Chosen {
    pub(crate) certificate: Certificate,
    pub(crate) cookie: Vec<u8>,
    pub(crate) transmit: Transmit,
}

impl Chosen {
    /// The keying is computed.
    fn offered(self, now: Instant, offer: Box<Offer>, near_certificate: &[u8]) -> Keying {
        let near_certificate = near_certificate.to_vec();
        let asked = Asked { chosen: self, near_certificate, is_cookie_changed: false, backoff: Backoff::new(now) };
        Keying { asked, offer }
    }
}

/// What a keying to a chosen responder is made of, but for the [`Offer`].
struct Asked {
    chosen: Chosen,
    near_certificate: Vec<u8>,
    is_cookie_changed: bool,
    backoff: Backoff,
}

impl Asked {
    fn change_cookie(&mut self, now: Instant, old: &[u8], new: &[u8]) {
        if !self.is_cookie_changed && self.chosen.cookie == old {
            self.is_cookie_changed = true;
            self.chosen.cookie = new.to_vec();
            self.backoff = Backoff::new(now);
        }
    }

    /// The answer was not the responder's: another may come.
    fn resumed(self, offer: Box<Offer>) -> Keying {
        Keying { asked: self, offer }
    }
}

/// A keying that is repeated until it is answered.
struct Keying {
    asked: Asked,
    offer: Box<Offer>,
}

impl Keying {
    /// The responder has answered.
    fn answered(self) -> (Asked, Completion) {
        let Chosen { certificate, transmit, .. } = &self.asked.chosen;
        let completion = Completion { offer: self.offer, certificate: certificate.clone(), transmit: *transmit };
        (self.asked, completion)
    }

    fn send(
        &mut self,
        now: Instant,
        session_id: u32,
        signing: &Signing,
        sealer: &mut StartupSealer,
        outbox: &mut Outbox,
    ) {
        if !self.asked.backoff.is_due(now) {
            return;
        }
        let mut iikeying = IIKeying {
            session_id,
            cookie_echo: &self.asked.chosen.cookie,
            certificate: &self.asked.near_certificate,
            component: &self.offer.component,
            signature: &[],
            signed_parameters: &[],
        };
        let mut signed = Vec::new();
        iikeying.put_signed_parameters(&mut signed);
        let signature = signing.sign(&signed);
        iikeying.signature = &signature;
        let width = Width::of_attempt(&self.asked.backoff);
        sealer.push_for(width, outbox, self.asked.chosen.transmit, 0, |out| iikeying.put(out));
    }
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
        let stage = Stage::Hello(Candidates::new(now, candidates));
        Self { epd, tag, deadline: now + OPEN_TIMEOUT, stage, armed: None }
    }

    /// Replaces the stage by what `step` makes of it.
    fn advance<T>(&mut self, step: impl FnOnce(Stage) -> (Stage, T)) -> T {
        let (next, result) = step(std::mem::replace(&mut self.stage, Stage::Between));
        self.stage = next;
        result
    }

    /// Takes in a redirect that echoes the tag; its new addresses are tried at the next [`Self::handle_timeout`].
    pub(crate) fn redirect(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        from: SocketAddr,
        destinations: impl Iterator<Item = TaggedAddress>,
    ) {
        if let Stage::Hello(candidates) = &mut self.stage {
            candidates.redirect(now, interface, from, destinations);
        }
    }

    /// Does this responder's certificate answer what is wanted, and is an answer still wanted?
    pub(crate) fn wants(&self, certificate: &Certificate) -> bool {
        matches!(self.stage, Stage::Hello(_)) && self.selects(certificate)
    }

    /// Does the endpoint discriminator select this certificate?
    fn selects(&self, certificate: &Certificate) -> bool {
        Epd::parse(&self.epd).is_ok_and(|epd| epd.selects(certificate))
    }

    /// Decides for a responder; its keying is to be computed next. False if that was decided before.
    pub(crate) fn choose(&mut self, chosen: Chosen) -> bool {
        self.advance(|stage| match stage {
            Stage::Hello(_) => (Stage::Offering(Box::new(chosen)), true),
            other => (other, false),
        })
    }

    /// The responder decided for.
    pub(crate) fn chosen(&self) -> Option<&Chosen> {
        match &self.stage {
            Stage::Hello(_) | Stage::Between => None,
            Stage::Offering(chosen) => Some(chosen),
            Stage::Keying(keying) => Some(&keying.asked.chosen),
            Stage::Completing(asked) => Some(&asked.chosen),
        }
    }

    /// The keying is computed, and goes out at the next [`Self::handle_timeout`].
    pub(crate) fn offered(&mut self, now: Instant, offer: Box<Offer>, near_certificate: &[u8]) {
        self.advance(|stage| match stage {
            Stage::Offering(chosen) => (Stage::Keying(Box::new(chosen.offered(now, offer, near_certificate))), ()),
            other => (other, ()),
        });
    }

    /// RFC 7016 §3.5.1.2: takes a new cookie, once.
    pub(crate) fn change_cookie(&mut self, now: Instant, old: &[u8], new: &[u8]) {
        match &mut self.stage {
            Stage::Keying(keying) => keying.asked.change_cookie(now, old, new),
            Stage::Completing(asked) => asked.change_cookie(now, old, new),
            Stage::Hello(_) | Stage::Offering(_) | Stage::Between => (),
        }
    }

    /// The responder has answered the keying; `None` when no answer is awaited.
    pub(crate) fn answered(&mut self) -> Option<Completion> {
        self.advance(|stage| match stage {
            Stage::Keying(keying) => {
                let (asked, completion) = keying.answered();
                (Stage::Completing(Box::new(asked)), Some(completion))
            }
            other => (other, None),
        })
    }

    /// Is a responder's answer being computed? Only then can the session open.
    pub(crate) fn is_completing(&self) -> bool {
        matches!(self.stage, Stage::Completing(_))
    }

    /// The answer was not the responder's: another may come.
    pub(crate) fn resume(&mut self, offer: Box<Offer>) {
        self.advance(|stage| match stage {
            Stage::Completing(asked) => (Stage::Keying(Box::new(asked.resumed(offer))), ()),
            other => (other, ()),
        });
    }

    /// Is the session being opened to the holder of this certificate, which has sent a keying from this address: do both ends
    /// want the same session (RFC 7016 §3.5.1.3)?
    ///
    /// Once a responder is chosen, its certificate decides, and not the address: an end with several addresses may key from another.
    pub(crate) fn glares(&self, from: SocketAddr, certificate: &Certificate) -> bool {
        match &self.stage {
            Stage::Hello(candidates) => candidates.contains(from) && self.selects(certificate),
            _ => self.chosen().is_some_and(|chosen| chosen.certificate.fingerprint() == certificate.fingerprint()),
        }
    }

    /// Sends what is due. False when the time is up.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        session_id: u32,
        signing: &Signing,
        sealer: &mut StartupSealer,
        outbox: &mut Outbox,
    ) -> bool {
        if now >= self.deadline {
            return false;
        }
        match &mut self.stage {
            Stage::Hello(candidates) => {
                candidates.send_hellos(now, &IHello { epd: &self.epd, tag: &self.tag }, sealer, outbox);
            }
            Stage::Keying(keying) => keying.send(now, session_id, signing, sealer, outbox),
            Stage::Offering(_) | Stage::Completing(_) | Stage::Between => (),
        }
        true
    }

    /// The driver stood still for the time `stood`: no answer could be received.
    pub(crate) fn stood_still(&mut self, stood: Duration) {
        self.deadline += stood;
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub(crate) fn deadline(&self) -> Instant {
        let next = match &self.stage {
            Stage::Hello(candidates) => candidates.next(),
            Stage::Keying(keying) => Some(keying.asked.backoff.next()),
            Stage::Offering(_) | Stage::Completing(_) | Stage::Between => None,
        };
        next.map_or(self.deadline, |next| next.min(self.deadline))
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::crypto::{Group, Identity, Preferences};
    use crate::test_clock::test_clock;

    fn identity(seed: u64) -> Identity {
        Identity::ephemeral(&[Group::Modp2], None, true, &mut ChaCha20Rng::seed_from_u64(seed))
    }

    fn offer() -> Box<Offer> {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        Box::new(Offer::new(&identity(1), identity(2).certificate(), &Preferences::default(), None, &mut rng).unwrap())
    }

    fn chosen(transmit: Transmit) -> Chosen {
        Chosen { certificate: identity(2).certificate().clone(), cookie: vec![7; 64], transmit }
    }

    /// How many datagrams are sent in a number of seconds.
    fn sent(initiation: &mut Initiation, from: Instant, seconds: u64) -> usize {
        let (mut sealer, mut outbox) = (StartupSealer::new(from, 1192), Outbox::default());
        for second in 0..seconds {
            let at = from + Duration::from_secs(second);
            assert!(initiation.handle_timeout(at, 1, &Signing::default(), &mut sealer, &mut outbox));
        }
        std::iter::from_fn(|| outbox.pop(&mut Vec::new())).count()
    }

    #[test]
    fn what_belongs_to_another_stage_changes_nothing() {
        let now = test_clock();
        let transmit = Transmit { interface: InterfaceId(0), to: ([192, 0, 2, 1], 1935).into() };
        let epd = Epd::ancillary("rtmfp://192.0.2.1/");
        let mut initiation = Initiation::new(now, epd, [1; TAG_LEN], &[(transmit.interface, transmit.to)]);
        let certificate = identity(2).certificate().clone();

        // Hellos go on although an offer, an answer and the failure of an answer come.
        initiation.offered(now, offer(), b"near");
        assert!(initiation.answered().is_none());
        initiation.resume(offer());
        assert!(initiation.wants(&certificate) && !initiation.is_completing());
        assert_eq!(sent(&mut initiation, now, 10), 4);

        assert!(initiation.choose(chosen(transmit)));
        assert!(!initiation.choose(chosen(transmit)) && !initiation.wants(&certificate));
        initiation.resume(offer());
        assert!(initiation.answered().is_none());
        assert_eq!(sent(&mut initiation, now, 10), 0, "nothing is sent while the offer is computed");

        // A second offer does not make the initiator say hello again.
        initiation.offered(now, offer(), b"near");
        initiation.offered(now, offer(), b"near");
        assert!(initiation.chosen().is_some() && !initiation.wants(&certificate));
        assert_eq!(sent(&mut initiation, now, 10), 4);

        let completion = initiation.answered().expect("the keying was sent");
        initiation.offered(now, offer(), b"near");
        assert!(initiation.is_completing() && initiation.answered().is_none());
        assert_eq!(sent(&mut initiation, now, 10), 0);
        initiation.resume(completion.offer);
        assert!(!initiation.is_completing() && initiation.answered().is_some());
    }

    #[test]
    fn a_cookie_changes_once_also_while_an_answer_is_computed() {
        let now = test_clock();
        let transmit = Transmit { interface: InterfaceId(0), to: ([192, 0, 2, 1], 1935).into() };
        let mut initiation = Initiation::new(now, Vec::new(), [1; TAG_LEN], &[(transmit.interface, transmit.to)]);
        assert!(initiation.choose(chosen(transmit)));
        initiation.change_cookie(now, &[7; 64], &[8; 64]);
        initiation.offered(now, offer(), b"near");
        assert_eq!(initiation.chosen().unwrap().cookie, [7; 64], "nothing was sent with the old one");
        let completion = initiation.answered().unwrap();
        initiation.change_cookie(now, &[7; 64], &[8; 64]);
        initiation.resume(completion.offer);
        initiation.change_cookie(now, &[8; 64], &[9; 64]);
        assert_eq!(initiation.chosen().unwrap().cookie, [8; 64]);
    }
}
