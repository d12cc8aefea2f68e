//! Cookies, with which a responder recognises an initiator without keeping any state for it (RFC 7016 §3.5.1.1.2, §3.5.1.2).
//!
//! A cookie takes exactly 64 bytes; librtmfp reads no other length. Its layout, known to the jar alone:
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | when it was baked, in milliseconds since the jar was made, big-endian |
//! | 8..10 | the context, big-endian |
//! | 10..16 | a nonce |
//! | 16..32 | half an HMAC over bytes 0..16: the jar baked it |
//! | 32..64 | an HMAC over bytes 0..16 and the source address: it comes from where it was sent to |
//!
//! Two HMACs, because a cookie that is good but comes from another address is answered, with a Cookie Change.

mod handover;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;

use super::keyed_hmac::KeyedHmac;

/// The length of a cookie in bytes.
pub const LEN: usize = 64;

/// How long a cookie is valid: as long as an initiator tries to open a session (RFC 7016 §3.5.1.1.2).
pub const LIFETIME: Duration = Duration::from_secs(95);

/// Makes cookies and recognises them.
#[derive(Clone)]
pub struct CookieJar {
    made: Instant,
    keyed: KeyedHmac,
}

/// What the check of a cookie found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieVerdict {
    /// It was baked here for this address, and in time.
    Valid {
        /// How long ago it was baked.
        age: Duration,
        /// What was given to [`CookieJar::bake`].
        context: u16,
    },
    /// It was baked here, in time, for another address: the answer is an RHello Cookie Change (RFC 7016 §3.5.1.2).
    WrongAddress {
        /// How long ago it was baked.
        age: Duration,
        /// What was given to [`CookieJar::bake`].
        context: u16,
    },
    /// It was baked here, too long ago.
    Expired,
    /// It was not baked here.
    Forged,
}

impl CookieJar {
    /// A jar with a key of its own.
    pub fn new(now: Instant, rng: &mut impl CryptoRng) -> Self {
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        Self { made: now, keyed: KeyedHmac::new(&key) }
    }

    /// A cookie for an initiator at `from`. The context comes back when the cookie does; it is not secret.
    pub fn bake(&self, now: Instant, from: SocketAddr, context: u16, rng: &mut impl CryptoRng) -> [u8; LEN] {
        let millis = u64::try_from(now.saturating_duration_since(self.made).as_millis()).unwrap_or(u64::MAX);
        let mut head = [0; 16];
        head[..8].copy_from_slice(&millis.to_be_bytes());
        head[8..10].copy_from_slice(&context.to_be_bytes());
        rng.fill_bytes(&mut head[10..]);
        let mut cookie = [0; LEN];
        cookie[..16].copy_from_slice(&head);
        cookie[16..32].copy_from_slice(&self.authenticity(&head));
        cookie[32..].copy_from_slice(&self.bond(&head, from));
        cookie
    }

    /// Judges a cookie that came from `from`.
    pub fn check(&self, now: Instant, from: SocketAddr, cookie: &[u8]) -> CookieVerdict {
        let Ok(cookie) = <&[u8; LEN]>::try_from(cookie) else { return CookieVerdict::Forged };
        let (head, rest) = cookie.split_at(16);
        let (authenticity, bond) = rest.split_at(16);
        let Ok(head) = <&[u8; 16]>::try_from(head) else { return CookieVerdict::Forged };
        if !bool::from(self.authenticity(head).ct_eq(authenticity)) {
            return CookieVerdict::Forged;
        }
        let [t0, t1, t2, t3, t4, t5, t6, t7, c0, c1, ..] = *head;
        let baked = Duration::from_millis(u64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]));
        let age = now.saturating_duration_since(self.made).saturating_sub(baked);
        if age > LIFETIME {
            return CookieVerdict::Expired;
        }
        let context = u16::from_be_bytes([c0, c1]);
        if bool::from(self.bond(head, from).ct_eq(bond)) {
            CookieVerdict::Valid { age, context }
        } else {
            CookieVerdict::WrongAddress { age, context }
        }
    }

    fn authenticity(&self, head: &[u8; 16]) -> [u8; 16] {
        self.keyed.half_of(&[head])
    }

    /// The message is longer than that of [`Self::authenticity`], so that neither HMAC can stand for the other.
    fn bond(&self, head: &[u8; 16], from: SocketAddr) -> [u8; 32] {
        let mut address = [0; 18];
        let ip = match from.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        address[..16].copy_from_slice(&ip.octets());
        address[16..].copy_from_slice(&from.port().to_be_bytes());
        self.keyed.of(&[head, &address])
    }
}

impl fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieJar").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::test_clock;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn jar() -> (CookieJar, ChaCha20Rng) {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        (CookieJar::new(test_clock(), &mut rng), rng)
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_cookie_is_good_at_home_until_it_is_old() {
        let (jar, mut rng) = jar();
        let baked = jar.made + Duration::from_secs(1000);
        for home in [at("192.0.2.1:1935"), at("[2001:db8::1]:1935")] {
            let cookie = jar.bake(baked, home, 7, &mut rng);
            for millis in [0, 1, 94_999, 95_000] {
                let age = Duration::from_millis(millis);
                assert_eq!(jar.check(baked + age, home, &cookie), CookieVerdict::Valid { age, context: 7 });
                let other = at("192.0.2.1:1936");
                assert_eq!(jar.check(baked + age, other, &cookie), CookieVerdict::WrongAddress { age, context: 7 });
            }
            assert_eq!(jar.check(baked + Duration::from_millis(95_001), home, &cookie), CookieVerdict::Expired);
        }
    }

    #[test]
    fn address_and_port_both_count() {
        let (jar, mut rng) = jar();
        let cookie = jar.bake(jar.made, at("192.0.2.1:1935"), 0, &mut rng);
        for other in ["192.0.2.2:1935", "192.0.2.1:1934", "[2001:db8::1]:1935"] {
            assert!(matches!(jar.check(jar.made, at(other), &cookie), CookieVerdict::WrongAddress { .. }), "{other}");
        }
        let mapped = jar.check(jar.made, at("[::ffff:192.0.2.1]:1935"), &cookie);
        assert!(matches!(mapped, CookieVerdict::Valid { .. }), "the same address seen through an IPv6 socket");
    }

    #[test]
    fn changed_cookies() {
        let (jar, mut rng) = jar();
        let home = at("192.0.2.1:1935");
        let cookie = jar.bake(jar.made, home, 3, &mut rng);
        for bit in 0..8 * LEN {
            let mut changed = cookie;
            changed[bit / 8] ^= 1 << (bit % 8);
            let verdict = jar.check(jar.made, home, &changed);
            if bit < 8 * 32 {
                assert_eq!(verdict, CookieVerdict::Forged, "{bit}");
            } else {
                assert!(matches!(verdict, CookieVerdict::WrongAddress { context: 3, .. }), "{bit}");
            }
        }
        for end in 0..LEN {
            assert_eq!(jar.check(jar.made, home, &cookie[..end]), CookieVerdict::Forged);
        }
        assert_eq!(jar.check(jar.made, home, &[&cookie[..], &[0]].concat()), CookieVerdict::Forged);
    }

    #[test]
    fn jars_do_not_know_each_others_cookies_and_no_two_are_alike() {
        let (jar, mut rng) = jar();
        let other = CookieJar::new(jar.made, &mut rng);
        let home = at("192.0.2.1:1935");
        let cookie = jar.bake(jar.made, home, 0, &mut rng);
        assert_eq!(other.check(jar.made, home, &cookie), CookieVerdict::Forged);
        assert_ne!(jar.bake(jar.made, home, 0, &mut rng), cookie);
        assert_eq!(format!("{jar:?}"), "CookieJar { .. }");
    }
}
