//! Keyings that are worth an answer (RFC 7016 §3.5.1.1.2).
//!
//! A cookie is good for one session. An initiator that repeats its keying, because the answer got lost, gets the same answer
//! again; anything else that comes with a used cookie gets nothing, and no public-key work is done for it.

use std::net::SocketAddr;
use std::time::Instant;

use sha2::{Digest, Sha256};

use super::used_cookies::CookieKey;
use crate::NetworkPrefix;
use crate::crypto::{Certificate, Group};
use crate::endpoint::Transmit;
use crate::wire::chunk::IIKeying;

/// A keying that is worth an answer.
pub(crate) struct Keying {
    pub(crate) cookie: CookieKey,
    pub(crate) transmit: Transmit,
    pub(crate) certificate: Certificate,
    pub(crate) certificate_hash: [u8; 32],
    /// The group that the initiator chose, which is one of this end's.
    pub(crate) group: Group,
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
        group: Group,
        payload: &[u8],
    ) -> Self {
        let certificate_hash = Sha256::digest(certificate.as_bytes()).into();
        Self { cookie, transmit, certificate, certificate_hash, group, baked, payload: payload.to_vec() }
    }

    /// The id by which the initiator wants to be addressed.
    pub(crate) fn far_id(&self) -> u32 {
        IIKeying::parse(&self.payload).map_or(0, |keying| keying.session_id)
    }

    /// The Session Key Initiator Component.
    pub(crate) fn component(&self) -> &[u8] {
        IIKeying::parse(&self.payload).map_or(&[], |keying| keying.component)
    }

    pub(crate) fn from(&self) -> SocketAddr {
        self.transmit.to
    }

    /// What bounds by address count it under.
    pub(crate) fn prefix(&self) -> NetworkPrefix {
        NetworkPrefix::of(self.transmit.to.ip())
    }
}

/// Stands for a keying's content: identical keyings are retransmissions.
pub(crate) fn keying_hash(keying: &IIKeying<'_>) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(keying.signed_parameters).into();
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest[..16]);
    hash
}
