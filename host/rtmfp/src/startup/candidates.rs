//! The addresses at which an initiator looks for a responder (RFC 7016 §3.5.1.1.1): those that the application names, and those
//! that introducers add.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::backoff::Backoff;
use super::sealer::{StartupSealer, Width};
use crate::outbox::Outbox;
use crate::transmit::{InterfaceId, Transmit};
use crate::wire::chunk::IHello;
use crate::wire::{Origin, TaggedAddress};

/// REDIRECT_THRESHOLD: the number of candidates beyond which redirects add none.
const REDIRECT_THRESHOLD: usize = 24;
/// Redirects add no more ports of one IP address than this: a peer can report addresses that are not its own, so that others send
/// their hellos to somebody else.
const MAX_PORTS: usize = 4;
/// How many hellos are sent to an address that the peer only reported, in some 20 s. Those to where it was seen go on.
const REPORTED_HELLOS: u8 = 6;
/// The length to which a hello is padded that goes to where an introducer has seen the peer or an Implied Redirect has come from, and every
/// repeated one: a responder whose certificate has static keys must not answer a shorter one, because its answer could be three times as
/// long.
const LONG_HELLO: usize = 420;
/// RFC 7016 §2.2.4.
const PADDING: u8 = 0xff;

struct Candidate {
    transmit: Transmit,
    backoff: Backoff,
    /// How many more hellos are sent; `None`: until the time is up.
    left: Option<u8>,
    /// An introducer has seen the peer there, or an Implied Redirect has come from there.
    is_observed: bool,
    /// An Implied Redirect has come from there.
    has_answered: bool,
}

/// The addresses that hellos are sent to.
pub(super) struct Candidates(Vec<Candidate>);

impl Candidates {
    /// The addresses that the application names.
    pub(super) fn new(now: Instant, named: &[(InterfaceId, SocketAddr)]) -> Self {
        let mut new = Self(Vec::new());
        named.iter().for_each(|&(interface, to)| new.add(now, Transmit { interface, to }, None, false));
        new
    }

    fn add(&mut self, now: Instant, transmit: Transmit, left: Option<u8>, is_observed: bool) {
        if let Some(known) = self.0.iter_mut().find(|known| known.transmit.to == transmit.to) {
            // The peer was seen at an address that was only reported before.
            if left.is_none() {
                known.left = None;
            }
            known.is_observed |= is_observed;
        } else if self.0.len() < REDIRECT_THRESHOLD && is_reachable(transmit.to) {
            self.0.push(Candidate { transmit, backoff: Backoff::new(now), left, is_observed, has_answered: false });
        }
    }

    pub(super) fn contains(&self, address: SocketAddr) -> bool {
        self.0.iter().any(|known| known.transmit.to == address)
    }

    fn ports_of(&self, ip: IpAddr) -> usize {
        self.0.iter().filter(|known| known.transmit.to.ip() == ip).count()
    }

    /// Adds the addresses of a redirect that came from `from`.
    ///
    /// An address of unspecified origin does not count: introducers name one to say that the peer is gone.
    pub(super) fn redirect(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        from: SocketAddr,
        destinations: impl Iterator<Item = TaggedAddress>,
    ) {
        let mut is_implied = true;
        for destination in destinations.take(2 * REDIRECT_THRESHOLD) {
            is_implied = false;
            let to = destination.address;
            if destination.origin != Origin::Unspecified && (self.contains(to) || self.ports_of(to.ip()) < MAX_PORTS) {
                let left = (destination.origin == Origin::Reported).then_some(REPORTED_HELLOS);
                self.add(now, Transmit { interface, to }, left, destination.origin == Origin::Observed);
            }
        }
        if is_implied {
            self.answered(now, Transmit { interface, to: from });
        }
    }

    /// RFC 7016 §2.3.5: no address means the one that the redirect came from. A peer that a forwarded hello has reached sends such a
    /// redirect to open its NAT: a hello that was sent before was dropped there, so another one follows at once. It does so only once,
    /// because the redirect is much shorter.
    fn answered(&mut self, now: Instant, transmit: Transmit) {
        self.add(now, transmit, None, true);
        let known = self.0.iter_mut().find(|known| known.transmit.to == transmit.to && !known.has_answered);
        if let Some(known) = known {
            known.has_answered = true;
            known.backoff.hasten(now);
        }
    }

    /// Sends the hellos that are due.
    pub(super) fn send_hellos(
        &mut self,
        now: Instant,
        hello: &IHello<'_>,
        sealer: &mut StartupSealer,
        outbox: &mut Outbox,
    ) {
        for candidate in &mut self.0 {
            let is_long = candidate.is_observed || candidate.backoff.is_repetition();
            if candidate.left != Some(0) && candidate.backoff.is_due(now) {
                candidate.left = candidate.left.map(|left| left - 1);
                let width = Width::of_attempt(&candidate.backoff);
                sealer.push_for(width, outbox, candidate.transmit, 0, |out| {
                    let is_put = hello.put(out);
                    if is_long {
                        out.resize(out.len().max(LONG_HELLO), PADDING);
                    }
                    is_put
                });
            }
        }
    }

    /// When the next hello is due.
    pub(super) fn next(&self) -> Option<Instant> {
        let trying = self.0.iter().filter(|candidate| candidate.left != Some(0));
        trying.map(|candidate| candidate.backoff.next()).min()
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
    use std::time::Duration;

    use super::*;
    use crate::startup::backoff::FIRST_WAIT;
    use crate::test_clock::test_clock;

    const INTERFACE: InterfaceId = InterfaceId(0);
    const HELLO: IHello<'_> = IHello { epd: b"", tag: &[0; 16] };

    fn server() -> SocketAddr {
        ([192, 0, 2, 1], 1935).into()
    }

    #[test]
    fn redirects_add_candidates_up_to_the_threshold() {
        let now = test_clock();
        let mut candidates = Candidates::new(now, &[(INTERFACE, server())]);
        let redirect = |candidates: &mut Candidates, hosts: std::ops::Range<u16>, origin| {
            let destinations = hosts.map(|host| TaggedAddress::new(([198, 51, 100, host as u8], 1).into(), origin));
            candidates.redirect(now, INTERFACE, server(), destinations);
            candidates.0.len()
        };
        assert_eq!(redirect(&mut candidates, 1..4, Origin::Unspecified), 1);
        assert_eq!(redirect(&mut candidates, 1..4, Origin::Reported), 4);
        assert_eq!(redirect(&mut candidates, 1..4, Origin::Observed), 4, "known already");
        assert_eq!(redirect(&mut candidates, 1..40, Origin::Observed), REDIRECT_THRESHOLD);
        assert_eq!(redirect(&mut candidates, 100..140, Origin::Observed), REDIRECT_THRESHOLD);
    }

    #[test]
    fn no_hello_goes_where_none_can_arrive() {
        for (text, expected) in [
            ("192.0.2.1:1935", true),
            ("[2001:db8::1]:1", true),
            ("192.0.2.1:0", false),
            ("[2001:db8::1]:0", false),
            ("0.0.0.0:1935", false),
            ("[::]:1935", false),
            ("[::ffff:0.0.0.0]:1935", false),
            ("224.0.0.1:1935", false),
            ("239.255.255.255:1935", false),
            ("[ff02::1]:1935", false),
            ("[::ffff:224.0.0.1]:1935", false),
            ("255.255.255.255:1935", false),
        ] {
            let now = test_clock();
            let address = text.parse().unwrap();
            assert_eq!(is_reachable(address), expected, "{text}");
            assert_eq!(Candidates::new(now, &[(INTERFACE, address)]).0.len(), usize::from(expected), "{text}");
            let mut candidates = Candidates::new(now, &[]);
            let destination = TaggedAddress::new(address, Origin::Observed);
            candidates.redirect(now, INTERFACE, server(), [destination].into_iter());
            assert_eq!(candidates.contains(address), expected, "{text}");
            assert_eq!(candidates.0.len(), usize::from(expected), "{text}");
        }
    }

    /// How many hellos go to an address in 95 s, after redirects that name it in these ways, and whether the first is long.
    fn hellos(origins: &[Origin]) -> (usize, bool) {
        let now = test_clock();
        let mut candidates = Candidates::new(now, &[]);
        let to: SocketAddr = ([198, 51, 100, 1], 1).into();
        for origin in origins {
            candidates.redirect(now, INTERFACE, server(), [TaggedAddress::new(to, *origin)].into_iter());
        }
        let mut sealer = StartupSealer::new(now, 1192);
        let mut lengths = Vec::new();
        while let Some(at) = candidates.next().filter(|at| *at < now + Duration::from_secs(95)) {
            let (mut outbox, mut datagram) = (Outbox::default(), Vec::new());
            candidates.send_hellos(at, &HELLO, &mut sealer, &mut outbox);
            while outbox.pop(&mut datagram).is_some() {
                lengths.push(datagram.len());
                datagram.clear();
            }
        }
        (lengths.len(), lengths.first().is_some_and(|len| *len > 400))
    }

    #[test]
    fn an_address_that_is_also_seen_is_tried_until_the_time_is_up() {
        use Origin::{Observed, Reported, Unspecified};
        assert_eq!(hellos(&[Reported]), (6, false));
        assert_eq!(hellos(&[Observed]), (12, true));
        assert_eq!(hellos(&[Reported, Observed]), (12, true));
        assert_eq!(hellos(&[Observed, Reported]), (12, true));
        assert_eq!(hellos(&[Unspecified]), (0, false));
    }

    #[test]
    fn redirects_aim_few_hellos_at_one_host() {
        let now = test_clock();
        let mut candidates = Candidates::new(now, &[(INTERFACE, server())]);
        let victim = |port| TaggedAddress::new(([198, 51, 100, 1], port).into(), Origin::Reported);
        let mut sealer = StartupSealer::new(now, 1192);
        let (mut sent, mut datagram) = (0, Vec::new());
        for millis in (0..95_000).step_by(250) {
            let at = now + Duration::from_millis(millis);
            // Introducers repeat themselves.
            candidates.redirect(at, INTERFACE, server(), (1..=40).map(victim));
            let mut outbox = Outbox::default();
            candidates.send_hellos(at, &HELLO, &mut sealer, &mut outbox);
            while let Some(transmit) = outbox.pop(&mut datagram) {
                sent += usize::from(transmit.to.ip() == victim(1).address.ip());
                datagram.clear();
            }
        }
        assert_eq!(sent, MAX_PORTS * usize::from(REPORTED_HELLOS));
    }

    #[test]
    fn the_first_hello_is_long_where_the_peer_has_been_seen_and_each_later_one_everywhere() {
        let now = test_clock();
        let [seen, reported]: [SocketAddr; 2] =
            ["198.51.100.1:1", "198.51.100.2:1"].map(|address| address.parse().unwrap());
        let mut candidates = Candidates::new(now, &[(INTERFACE, server())]);
        let destinations = [(seen, Origin::Observed), (reported, Origin::Reported)];
        let destinations = destinations.map(|(to, origin)| TaggedAddress::new(to, origin));
        candidates.redirect(now, INTERFACE, server(), destinations.into_iter());
        let mut sealer = StartupSealer::new(now, 1192);
        let mut long_to = |at: Instant| {
            let (mut outbox, mut datagram, mut long) = (Outbox::default(), Vec::new(), Vec::new());
            candidates.send_hellos(at, &HELLO, &mut sealer, &mut outbox);
            while let Some(transmit) = outbox.pop(&mut datagram) {
                long.extend((3 * datagram.len() > 1192).then_some(transmit.to));
                datagram.clear();
            }
            long
        };
        assert_eq!(long_to(now), [seen]);
        assert_eq!(long_to(now + FIRST_WAIT), [server(), seen, reported]);
    }

    #[test]
    fn a_peer_that_answers_with_an_implied_redirect_is_sent_a_long_hello_at_once_and_only_once() {
        let now = test_clock();
        let [seen, unknown]: [SocketAddr; 2] =
            ["198.51.100.1:1", "198.51.100.2:1"].map(|address| address.parse().unwrap());
        let mut candidates = Candidates::new(now, &[(INTERFACE, server())]);
        let mut sealer = StartupSealer::new(now, 1192);
        let mut sent = |at: Instant, from: SocketAddr, destinations: &[TaggedAddress]| {
            candidates.redirect(at, INTERFACE, from, destinations.iter().copied());
            let (mut outbox, mut datagram, mut sent) = (Outbox::default(), Vec::new(), Vec::new());
            candidates.send_hellos(at, &HELLO, &mut sealer, &mut outbox);
            while let Some(transmit) = outbox.pop(&mut datagram) {
                sent.push((transmit.to, 3 * datagram.len() > 1192));
                datagram.clear();
            }
            sent
        };
        let named = [TaggedAddress::new(seen, Origin::Observed)];
        assert_eq!(sent(now, server(), &named), [(server(), false), (seen, true)]);
        // The NAT of the peer has dropped that hello; by its own packet it is open now.
        let soon = now + Duration::from_millis(30);
        assert_eq!(sent(soon, seen, &[]), [(seen, true)]);
        assert_eq!(sent(soon, seen, &[]), []);
        // A symmetric NAT has another port for the peer than the server saw.
        assert_eq!(sent(soon, unknown, &[]), [(unknown, true)]);
        assert_eq!(sent(soon, unknown, &[]), []);
        assert_eq!(sent(now + FIRST_WAIT, server(), &named), [(server(), true)]);
    }
}
