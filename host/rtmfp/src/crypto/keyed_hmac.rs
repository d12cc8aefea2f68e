//! HMAC-SHA256 with a key that is used more than once.

use hmac::block_api::HmacCore;
use hmac::digest::block_api::{Buffer, CoreProxy};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// An HMAC-SHA256 that has taken in its key, and only that. Only the two hash states are kept: the buffer that belongs to them is
/// empty, and would double the size.
#[derive(Clone)]
pub(crate) struct KeyedHmac(HmacCore<Sha256>);

impl KeyedHmac {
    /// With a key of any length.
    pub(crate) fn new(key: &[u8]) -> Self {
        // RFC 2104 §2: a key is padded with zeros to the length of a block; one longer than that is hashed first.
        let mut block = Zeroizing::new([0; 64]);
        match block.get_mut(..key.len()) {
            Some(start) => start.copy_from_slice(key),
            None => block[..32].copy_from_slice(&Sha256::digest(key)),
        }
        let keyed: Hmac<Sha256> = Hmac::new((&*block).into());
        Self(keyed.decompose().0)
    }

    /// The HMAC of the parts, one after the other.
    pub(crate) fn of(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac: Hmac<Sha256> = Hmac::compose(self.0.clone(), Buffer::<HmacCore<Sha256>>::default());
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }

    /// The first 16 bytes of [`Self::of`].
    pub(crate) fn half_of(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut half = [0; 16];
        half.copy_from_slice(&self.of(parts)[..16]);
        half
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_are_hashed_first() {
        // RFC 4231 §4.7: HMAC-SHA256 with a key of 131 bytes.
        let mac = KeyedHmac::new(&[0xaa; 131]).of(&[b"Test Using Larger Than Block-Size Key", b" - Hash Key First"]);
        assert_eq!(mac[..8], [0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f]);
        // RFC 4231 §4.3: a short key.
        let mac = KeyedHmac::new(b"Jefe").half_of(&[b"what do ya want for nothing?"]);
        assert_eq!(mac[..8], [0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e]);
    }
}
