//! An initiator's keying that is worth an answer (RFC 7016 §3.5.1.1.2).

use std::net::SocketAddr;
use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::crypto::{Certificate, Group};
use crate::network_prefix::NetworkPrefix;
use crate::transmit::Transmit;
use crate::wire::chunk::IIKeying;

/// Names a cookie among those that are still valid.
pub(crate) type CookieKey = [u8; 16];

/// A keying that is worth an answer: what is needed of its chunk, and what has been found out about it.
pub(crate) struct InitiatorKeying {
    pub(crate) cookie: CookieKey,
    pub(crate) transmit: Transmit,
    /// The id by which the initiator wants to be addressed.
    pub(crate) far_id: u32,
    pub(crate) certificate: Certificate,
    /// The Session Key Initiator Component.
    pub(crate) component: Vec<u8>,
    /// The group that the initiator chose, which is one of this end's.
    pub(crate) group: Group,
    /// When the cookie was made.
    pub(crate) baked: Instant,
}

impl InitiatorKeying {
    pub(crate) fn new(
        chunk: &IIKeying<'_>,
        cookie: CookieKey,
        baked: Instant,
        transmit: Transmit,
        certificate: Certificate,
        group: Group,
    ) -> Self {
        let (far_id, component) = (chunk.session_id, chunk.component.to_vec());
        Self { cookie, transmit, far_id, certificate, component, group, baked }
    }

    pub(crate) fn from(&self) -> SocketAddr {
        self.transmit.to
    }

    /// The network under which bounds by address count it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::packet::CHUNK_HEADER_LEN;

    /// A retransmission gets the old answer again, so what differs in any point must not be taken for one.
    #[test]
    fn keyings_that_differ_in_any_signed_field_are_different() {
        let hash = |session_id, cookie: &[u8], certificate: &[u8], component: &[u8], signature: &[u8]| {
            let keying =
                IIKeying { session_id, cookie_echo: cookie, certificate, component, signature, signed_parameters: b"" };
            let mut bytes = Vec::new();
            keying.put(&mut bytes);
            keying_hash(&IIKeying::parse(&bytes[CHUNK_HEADER_LEN..]).unwrap())
        };
        let first = hash(1, b"cookie", b"certificate", b"component", b"X");
        assert_eq!(hash(1, b"cookie", b"certificate", b"component", b"X"), first);
        for other in [
            hash(2, b"cookie", b"certificate", b"component", b"X"),
            hash(1, b"Cookie", b"certificate", b"component", b"X"),
            hash(1, b"cookie", b"Certificate", b"component", b"X"),
            hash(1, b"cookie", b"certificate", b"Component", b"X"),
        ] {
            assert_ne!(other, first);
        }
    }
}
