//! Help for clients that find out how the NAT in front of them behaves (RFC 4787, RFC 5780): who may have a test packet sent, and where to.
//!
//! # Bounds
//!
//! A test packet has 20 to 36 bytes, fewer than the call that asks for it. It goes to the address that a session of the caller has
//! proven, or to one that such a session had when it got a [ticket](NatTests::ticket) for it, a quarter of an hour ago at most. So nobody
//! can have packets sent to an address that was never his own, nor more bytes than he sends. Tickets are not kept: each carries its own
//! proof. A network has 32 calls in a second, and all clients together have 256.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::Mutex;
use rtmfp::crypto::Sealer;
use rtmfp::wire::chunk::Redirect;
use rtmfp::wire::{Mode, Origin, PacketHeader, TaggedAddress, take};
use rtmfp::{NetworkPrefix, TokenBucket};
use sha2::Sha256;

use super::rate_table::{RateTable, per_second};

/// How many calls the clients of one network may make in a second.
pub(super) const MAX_RATE_OF_NETWORK: u64 = 32;
/// How many calls all clients may make in a second.
const MAX_RATE: u64 = 256;
/// How long a ticket is valid. No NAT that can be tested keeps a binding for longer: the probe asks for ten minutes at most.
pub(super) const TICKET_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// The length of a tag, by which a client knows its test packets.
pub(super) const TAG_LEN: usize = 8;

const TIME_LEN: usize = 8;
const PROOF_LEN: usize = 16;
/// The longest text of a ticket: hexadecimal digits for the time, an IPv6 address with its kind and port, and the proof.
const MAX_TICKET: usize = 2 * (TIME_LEN + 19 + PROOF_LEN);

/// What a test packet carries, so that the client knows which of its calls it belongs to.
pub(super) type Tag = [u8; TAG_LEN];

/// Who may have test packets sent, and where to. All workers share it.
pub struct NatTests {
    secret: [u8; 32],
    began: Instant,
    all: Mutex<TokenBucket>,
    networks: Mutex<RateTable<NetworkPrefix>>,
}

impl NatTests {
    /// `secret` is known to this server alone: with it tickets are proven.
    pub fn new(secret: [u8; 32]) -> Self {
        let networks = Mutex::new(RateTable::new(MAX_RATE_OF_NETWORK));
        Self { secret, began: Instant::now(), all: Mutex::default(), networks }
    }

    fn at(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }

    /// Counts a call; false if its network, or all clients together, made too many in the last second.
    pub(super) fn permit(&self, now: Instant, from: IpAddr) -> bool {
        let at = self.at(now);
        // A network that makes too many takes nothing from the others.
        self.networks.lock().permits(at, NetworkPrefix::of(from)) && self.all.lock().take(at, per_second(MAX_RATE), 1)
    }

    /// A proof, for a quarter of an hour, that a session of the client has been at `address`.
    pub(super) fn ticket(&self, now: Instant, address: SocketAddr) -> String {
        let end = self.at(now + TICKET_LIFETIME).as_millis() as u64;
        let mut bytes = end.to_be_bytes().to_vec();
        TaggedAddress::new(address, Origin::Observed).put(&mut bytes);
        let proof = self.proof(&bytes);
        bytes.extend_from_slice(&proof);
        hex::encode(bytes)
    }

    /// The address that a ticket is for; `None` if this server did not make it, or not lately.
    pub(super) fn redeem(&self, now: Instant, ticket: &str) -> Option<SocketAddr> {
        if ticket.len() > MAX_TICKET {
            return None;
        }
        let bytes = hex::decode(ticket).ok()?;
        let (signed, proof) = bytes.split_at_checked(bytes.len().checked_sub(PROOF_LEN)?)?;
        let is_own = bool::from(subtle::ConstantTimeEq::ct_eq(&self.proof(signed)[..], proof));
        let mut rest = signed;
        let end = Duration::from_millis(u64::from_be_bytes(take::array(&mut rest).ok()?));
        let address = TaggedAddress::take(&mut rest).ok()?.address;
        (is_own && rest.is_empty() && self.at(now) < end).then_some(address)
    }

    fn proof(&self, signed: &[u8]) -> [u8; PROOF_LEN] {
        let mut proof = [0; PROOF_LEN];
        // HMAC takes keys of any length.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.secret) {
            mac.update(signed);
            proof.copy_from_slice(&mac.finalize().into_bytes()[..PROOF_LEN]);
        }
        proof
    }
}

/// A test packet: a redirect without addresses, which an endpoint that did not ask for it drops.
pub(super) fn packet(tag: Tag) -> Vec<u8> {
    let (mut sealer, mut datagram) = (Sealer::startup(), Vec::new());
    sealer.begin(&mut datagram);
    PacketHeader::new(Mode::Startup).put(&mut datagram);
    Redirect::put(&tag, &[], &mut datagram);
    sealer.finish(0, 0, &mut datagram);
    datagram
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtmfp::crypto::Opener;
    use rtmfp::wire::{Chunk, packet as packets};

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_ticket_is_good_for_its_address_until_it_ends() {
        let tests = NatTests::new([7; 32]);
        let now = tests.began;
        for text in ["192.0.2.7:4000", "[2001:db8::7]:5000"] {
            let ticket = tests.ticket(now, address(text));
            assert!(ticket.len() <= MAX_TICKET);
            let almost = now + TICKET_LIFETIME - Duration::from_millis(1);
            assert_eq!([now, almost].map(|now| tests.redeem(now, &ticket)), [Some(address(text)); 2]);
            assert_eq!(tests.redeem(now + TICKET_LIFETIME, &ticket), None);
        }
    }

    #[test]
    fn nobody_but_the_server_makes_or_changes_a_ticket() {
        let tests = NatTests::new([7; 32]);
        let now = tests.began;
        let ticket = tests.ticket(now, address("192.0.2.7:4000"));
        assert_eq!(NatTests::new([8; 32]).redeem(now, &ticket), None, "another server's");
        for place in 0..ticket.len() {
            let mut changed = ticket.clone().into_bytes();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(tests.redeem(now, &changed), None, "{changed}");
            assert_eq!(tests.redeem(now, &ticket[..place]), None);
        }
        for wrong in
            [String::new(), "zz".repeat(20), "00".repeat(31), "0".repeat(MAX_TICKET + 2), format!("{ticket}00")]
        {
            assert_eq!(tests.redeem(now, &wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_network_has_a_rate_and_all_have_one() {
        let tests = NatTests::new([7; 32]);
        let now = tests.began;
        let permitted = |host: u8, now| (0..100).filter(|_| tests.permit(now, [192, 0, 2, host].into())).count() as u64;
        assert_eq!(permitted(1, now), MAX_RATE_OF_NETWORK);
        assert_eq!((2..50).map(|host| permitted(host, now)).sum::<u64>(), MAX_RATE - MAX_RATE_OF_NETWORK);
        assert_eq!(permitted(1, now + Duration::from_secs(1)), MAX_RATE_OF_NETWORK);
    }

    #[test]
    fn a_test_packet_is_small_and_carries_its_tag() {
        let tag = [9; TAG_LEN];
        let mut datagram = packet(tag);
        assert!(datagram.len() <= 36, "{}", datagram.len());
        let mut opener = Opener::startup();
        let mut plain = opener.open(&mut datagram).unwrap();
        PacketHeader::take(&mut plain).unwrap();
        let chunks: Vec<_> = packets::chunks(plain).map(|raw| Chunk::parse(raw).unwrap()).collect();
        let [Chunk::Redirect(redirect)] = &chunks[..] else { panic!("{chunks:?}") };
        assert_eq!((redirect.tag_echo, redirect.destinations().count()), (&tag[..], 0));
    }
}
