//! The keys of a session (RFC 7425 §4.6.3 to §4.6.6).

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::component::Settled;
use super::dh::SharedSecret;
use super::keyed_hmac::KeyedHmac;

/// Everything that sealing and opening packets takes, seen from one end. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SessionKeys {
    /// The AES-128 key for packets sent.
    pub encrypt_key: [u8; 16],
    /// The AES-128 key for packets received.
    pub decrypt_key: [u8; 16],
    /// The key for HMACs sent (§4.6.4).
    pub hmac_send_key: [u8; 32],
    /// The key for HMACs received.
    pub hmac_receive_key: [u8; 32],
    /// The near nonce (§4.6.5): the other end's far nonce.
    pub near_nonce: [u8; 32],
    /// The far nonce: the other end's near nonce.
    pub far_nonce: [u8; 32],
    /// How packets are verified.
    #[zeroize(skip)]
    pub verification: Settled,
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionKeys").field("verification", &self.verification).finish_non_exhaustive()
    }
}

/// The secrets from which a session's keys come, for recording traffic that can be deciphered later. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct KeyLog {
    /// The number of the Diffie-Hellman group.
    #[zeroize(skip)]
    pub group: u64,
    /// DH_SECRET.
    pub dh_secret: Vec<u8>,
    /// Our private key for this session.
    pub dh_private: Vec<u8>,
    /// ENCRYPT_KEY in full; AES uses the first half.
    pub encrypt_key: [u8; 32],
    /// DECRYPT_KEY in full.
    pub decrypt_key: [u8; 32],
}

impl fmt::Debug for KeyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLog").field("group", &self.group).finish_non_exhaustive()
    }
}

/// ENCRYPT_KEY and DECRYPT_KEY in full (§4.6.3).
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct FullKeys {
    /// ENCRYPT_KEY.
    pub encrypt: [u8; 32],
    /// DECRYPT_KEY.
    pub decrypt: [u8; 32],
}

/// The session's keys from the Diffie-Hellman secret, the keying component that the near end sent and the one that the far
/// end sent.
pub fn derive(secret: &SharedSecret, near: &[u8], far: &[u8], verification: Settled) -> (SessionKeys, FullKeys) {
    let with_secret = KeyedHmac::new(secret.expose());
    let of = |message: &[u8]| with_secret.of(&[message]);
    // §4.6.3: ENCRYPT_KEY = HMAC(DH_SECRET, HMAC(SKFC, SKNC)), and the other way round.
    let encrypt = of(&KeyedHmac::new(far).of(&[near]));
    let decrypt = of(&KeyedHmac::new(near).of(&[far]));
    let first_half = |key: &[u8; 32]| {
        let mut half = [0; 16];
        half.copy_from_slice(&key[..16]);
        half
    };
    let keys = SessionKeys {
        encrypt_key: first_half(&encrypt),
        decrypt_key: first_half(&decrypt),
        hmac_send_key: of(&encrypt),
        hmac_receive_key: of(&decrypt),
        near_nonce: of(near),
        far_nonce: of(far),
        verification,
    };
    (keys, FullKeys { encrypt, decrypt })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_mirror_each_other() {
        let secret = SharedSecret::from_bytes(&[0, 0, 1, 0x23, 0x45, 0x67, 0x89]);
        assert_eq!(secret.expose(), [1, 0x23, 0x45, 0x67, 0x89], "RFC 7425 §4.6.2");
        let (near, near_full) = derive(&secret, b"near", b"far", Settled::default());
        let (far, far_full) = derive(&secret, b"far", b"near", Settled::default());
        assert_eq!(near.encrypt_key, far.decrypt_key);
        assert_eq!(near.decrypt_key, far.encrypt_key);
        assert_eq!(near.hmac_send_key, far.hmac_receive_key);
        assert_eq!(near.hmac_receive_key, far.hmac_send_key);
        assert_eq!(near.near_nonce, far.far_nonce);
        assert_eq!(near.far_nonce, far.near_nonce);
        assert_eq!(near_full.encrypt, far_full.decrypt);
        assert_eq!(near_full.encrypt[..16], near.encrypt_key);
        assert_ne!(near.encrypt_key, near.decrypt_key);
        assert!(!format!("{near:?}").contains("key:"));
    }

    /// The ends would mirror each other as well if both had another formula.
    #[test]
    fn each_key_is_made_as_the_rfc_says() {
        let (secret, near, far) = (&[7u8; 128][..], &b"near component"[..], &b"far component"[..]);
        let verification = Settled { hmac_send_length: 9, ..Settled::default() };
        let (keys, full) = derive(&SharedSecret::from_bytes(secret), near, far, verification);
        let hmac = |key: &[u8], message: &[u8]| KeyedHmac::new(key).of(&[message]);
        // RFC 7425 §4.6.3.
        assert_eq!(full.encrypt, hmac(secret, &hmac(far, near)));
        assert_eq!(full.decrypt, hmac(secret, &hmac(near, far)));
        assert_eq!((&keys.encrypt_key[..], &keys.decrypt_key[..]), (&full.encrypt[..16], &full.decrypt[..16]));
        // §4.6.4.
        assert_eq!(keys.hmac_send_key, hmac(secret, &full.encrypt));
        assert_eq!(keys.hmac_receive_key, hmac(secret, &full.decrypt));
        // §4.6.5.
        assert_eq!((keys.near_nonce, keys.far_nonce), (hmac(secret, near), hmac(secret, far)));
        assert_eq!(keys.verification, verification);
    }
}
