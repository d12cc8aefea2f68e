//! The proof by ping that the far end has moved to another address (RFC 7016 §3.5.4.2).
//!
//! A packet from another address may be a replay, so the session stays where it is until a ping sent to that address came back from
//! it. The ping carries its own proof: this end keeps no list of addresses being checked, and the addresses that an attacker makes up
//! cost no memory.

mod handover;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::crypto::KeyedHmac;
use crate::wire::{Origin, TaggedAddress};

/// The first byte of a ping that checks an address, which tells it from a keepalive.
const MARK: u8 = b'M';
const TIME_LEN: usize = 8;
const PROOF_LEN: usize = 16;
/// The length of the message of a check.
pub(crate) const MESSAGE_LEN: usize = 1 + TIME_LEN + PROOF_LEN;
/// The least time between two checks.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// A reply that comes later than this proves nothing.
const LIFETIME: Duration = Duration::from_secs(120);

/// The address checks of one session.
#[derive(Debug)]
pub(crate) struct Mobility {
    epoch: Instant,
    secret: [u8; 16],
    /// MOB_TX_TS: when the last check was sent.
    checked: Option<Instant>,
    /// MOB_RX_TS: when the last check that came back was sent, in ms since `epoch`.
    confirmed: Option<u64>,
}

impl Mobility {
    /// `secret` is known to this end only (MOB_SECRET).
    pub(crate) fn new(now: Instant, secret: [u8; 16]) -> Self {
        Self { epoch: now, secret, checked: None, confirmed: None }
    }

    /// The message of the ping to send to `address`, unless the last check is less than a second old.
    pub(crate) fn check(&mut self, now: Instant, address: SocketAddr) -> Option<Vec<u8>> {
        if self.checked.is_some_and(|checked| now.saturating_duration_since(checked) < MIN_INTERVAL) {
            return None;
        }
        self.checked = Some(now);
        let mut message = vec![MARK];
        message.extend_from_slice(&self.millis(now).to_be_bytes());
        let proof = self.proof(&message, address);
        message.extend_from_slice(&proof);
        Some(message)
    }

    /// Does this ping reply, which came from `address`, prove that the far end is there?
    pub(crate) fn confirm(&mut self, now: Instant, message: &[u8], address: SocketAddr) -> bool {
        let Some((signed, proof)) = message.split_at_checked(1 + TIME_LEN) else { return false };
        let Some((&[MARK], time)) = signed.split_first_chunk::<1>() else { return false };
        let Ok(time) = <[u8; TIME_LEN]>::try_from(time).map(u64::from_be_bytes) else { return false };
        let is_recent = self.millis(now).checked_sub(time).is_some_and(|age| age <= LIFETIME.as_millis() as u64);
        let is_newest = self.confirmed.is_none_or(|confirmed| time > confirmed);
        let is_authentic = {
            use subtle::ConstantTimeEq;
            bool::from(self.proof(signed, address).ct_eq(proof))
        };
        let is_proof = is_recent && is_newest && is_authentic;
        if is_proof {
            self.confirmed = Some(time);
        }
        is_proof
    }

    fn millis(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_millis() as u64
    }

    fn proof(&self, signed: &[u8], address: SocketAddr) -> [u8; PROOF_LEN] {
        let mut encoded = Vec::with_capacity(19);
        TaggedAddress::new(address, Origin::Observed).put(&mut encoded);
        KeyedHmac::new(&self.secret).half_of(&[signed, &encoded])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::test_clock;

    #[test]
    fn only_the_address_checked_confirms_and_only_once() {
        let now = test_clock();
        let mut mobility = Mobility::new(now, [7; 16]);
        let new: SocketAddr = "192.0.2.7:4000".parse().unwrap();
        let later = now + Duration::from_millis(80);
        let message = mobility.check(now, new).unwrap();
        assert_eq!(mobility.check(later, new), None, "one check a second");
        assert!(!mobility.confirm(later, &message, "192.0.2.7:4001".parse().unwrap()));
        assert!(!mobility.confirm(later, &message[..message.len() - 1], new));
        assert!(!Mobility::new(now, [8; 16]).confirm(later, &message, new));
        assert!(!mobility.confirm(now + Duration::from_secs(121), &message, new));
        assert!(mobility.confirm(later, &message, new));
        assert!(!mobility.confirm(later, &message, new), "a replayed reply moves nothing");
        for garbage in [&b""[..], b"M", b"X12345678", &[0; 64]] {
            assert!(!mobility.confirm(later, garbage, new));
        }
    }

    #[test]
    fn a_check_may_be_made_each_second_and_its_reply_counts_for_120_and_not_after_a_later_one() {
        let now = test_clock();
        let at = |millis| now + Duration::from_millis(millis);
        let mut mobility = Mobility::new(now, [7; 16]);
        let new: SocketAddr = "192.0.2.7:4000".parse().unwrap();
        let first = mobility.check(at(0), new).unwrap();
        assert!(mobility.check(at(999), new).is_none());
        let second = mobility.check(at(1000), new).unwrap();
        assert!(!mobility.confirm(at(121_001), &second, new), "too late");
        assert!(mobility.confirm(at(121_000), &second, new));
        assert!(!mobility.confirm(at(1000), &first, new), "an older one moves nothing back");
        // A message that says that it will be made is not this end's.
        let third = mobility.check(at(200_000), new).unwrap();
        assert!(!mobility.confirm(at(199_999), &third, new));
        let mut unmarked = third.clone();
        unmarked[0] = b'A';
        assert!(!mobility.confirm(at(200_000), &unmarked, new));
        assert!(mobility.confirm(at(200_000), &third, new));
    }
}
