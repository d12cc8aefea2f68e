//! Answering keyings once, and only once (RFC 7016 §3.5.1.1.2).
//!
//! A cookie is good for one session. An initiator that repeats its keying, because the answer got lost, gets the same answer
//! again; anything else that comes with a used cookie gets nothing, and no public-key work is done for it.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::crypto::component::Component;
use crate::crypto::{Certificate, Group};
use crate::endpoint::{SessionId, Transmit};
use crate::wire::Malformed;
use crate::wire::chunk::IIKeying;

/// Names a cookie among those that are still valid.
pub(crate) type CookieKey = [u8; 16];

/// A keying that is worth an answer.
pub(crate) struct Keying {
    pub(crate) cookie: CookieKey,
    pub(crate) transmit: Transmit,
    pub(crate) certificate: Certificate,
    pub(crate) certificate_hash: [u8; 32],
    /// When the cookie was made.
    pub(crate) baked: Instant,
    /// The chunk's payload, for the signature covers most of it.
    payload: Vec<u8>,
}

impl Keying {
    pub(crate) fn new(
        cookie: CookieKey,
        baked: Instant,
        transmit: Transmit,
        certificate: Certificate,
        payload: &[u8],
    ) -> Self {
        let certificate_hash = Sha256::digest(certificate.as_bytes()).into();
        Self { cookie, transmit, certificate, certificate_hash, baked, payload: payload.to_vec() }
    }

    /// The id by which the initiator wants to be addressed.
    pub(crate) fn far_id(&self) -> u32 {
        IIKeying::parse(&self.payload).map_or(0, |keying| keying.session_id)
    }

    /// The chunk.
    pub(crate) fn chunk(&self) -> Result<IIKeying<'_>, Malformed> {
        IIKeying::parse(&self.payload)
    }

    /// The Session Key Initiator Component.
    pub(crate) fn component(&self) -> &[u8] {
        IIKeying::parse(&self.payload).map_or(&[], |keying| keying.component)
    }

    /// The group that the initiator chose.
    pub(crate) fn group(&self) -> Option<Group> {
        let component = Component::parse(self.component()).ok()?;
        let id = component.group_select.or(component.ephemeral_key.map(|(group, _)| group))?;
        Group::from_id(id)
    }

    pub(crate) fn from(&self) -> SocketAddr {
        self.transmit.to
    }
}

/// What is known of a cookie that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// It has not come back before.
    First,
    /// The same keying, whose answer is still being computed or led to nothing.
    Repeated,
    /// The same keying, which opened this session.
    Answered(SessionId),
    /// Another keying has used it up.
    Spent,
}

struct Entry {
    /// Of the keying: session id, certificate and component (§3.5.1.1.2, point 2.1).
    keying_hash: [u8; 16],
    session: Option<SessionId>,
}

/// The cookies that came back, for as long as they stay valid.
pub(crate) struct UsedCookies {
    entries: HashMap<CookieKey, Entry>,
    order: VecDeque<(Instant, CookieKey)>,
    lifetime: Duration,
    max: usize,
}

impl UsedCookies {
    /// At most `max` cookies are remembered for `lifetime`.
    pub(crate) fn new(lifetime: Duration, max: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), lifetime, max }
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Looks a cookie up with the keying that it came with.
    pub(crate) fn check(&mut self, now: Instant, cookie: &CookieKey, keying: &[u8; 16]) -> Use {
        self.forget(now);
        match self.entries.get(cookie) {
            None => Use::First,
            Some(entry) if entry.keying_hash != *keying => Use::Spent,
            Some(entry) => entry.session.map_or(Use::Repeated, Use::Answered),
        }
    }

    /// Remembers a cookie with its keying. False when too many are remembered already: the keying is to be dropped, for
    /// forgetting another would let that one be replayed.
    pub(crate) fn insert(&mut self, now: Instant, cookie: CookieKey, keying: [u8; 16]) -> bool {
        if self.order.len() >= self.max {
            return false;
        }
        self.order.push_back((now, cookie));
        self.entries.insert(cookie, Entry { keying_hash: keying, session: None });
        true
    }

    /// The session that a keying opened.
    pub(crate) fn opened(&mut self, cookie: &CookieKey, session: SessionId) {
        if let Some(entry) = self.entries.get_mut(cookie) {
            entry.session = Some(session);
        }
    }

    /// A keying that could not be answered yet: it may come again.
    pub(crate) fn release(&mut self, cookie: &CookieKey) {
        // Its place in `order` stays, and would take a later entry of the same cookie with it too early by the time between the
        // two: a cookie that old is no longer valid anyway.
        self.entries.remove(cookie);
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, cookie)) = self.order.front() {
            if now.saturating_duration_since(*at) <= self.lifetime {
                break;
            }
            self.entries.remove(cookie);
            self.order.pop_front();
        }
        if self.entries.capacity() > 4 * self.entries.len() + 1024 {
            self.entries.shrink_to(2 * self.entries.len());
            self.order.shrink_to(2 * self.entries.len());
        }
    }
}

/// Stands for a keying's content: identical keyings are retransmissions.
pub(crate) fn keying_hash(keying: &IIKeying<'_>) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(keying.signed_parameters).into();
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest[..16]);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_good_for_one_keying_until_it_expires() {
        let now = crate::test_clock();
        let mut used = UsedCookies::new(Duration::from_secs(95), 2);
        let (cookie, keying) = ([1; 16], [2; 16]);
        assert_eq!(used.check(now, &cookie, &keying), Use::First);
        assert!(used.insert(now, cookie, keying));
        assert_eq!(used.check(now, &cookie, &keying), Use::Repeated);
        assert_eq!(used.check(now, &cookie, &[3; 16]), Use::Spent);
        used.opened(&cookie, SessionId(77));
        assert_eq!(used.check(now, &cookie, &keying), Use::Answered(SessionId(77)));
        assert!(used.insert(now, [4; 16], keying));
        assert!(!used.insert(now, [5; 16], keying), "bounded");
        let later = now + Duration::from_secs(96);
        assert_eq!(used.check(later, &cookie, &keying), Use::First);
        assert!(used.insert(later, cookie, keying));
        used.release(&cookie);
        assert_eq!(used.check(later, &cookie, &[3; 16]), Use::First);
        assert!(used.insert(later, [5; 16], keying));
    }
}
