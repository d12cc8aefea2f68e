//! AES-128-CBC over whole blocks with a zero initialization vector (RFC 7425 §4.7.1), and the checksum inside (§4.7.3.1).

use std::sync::OnceLock;

use aes::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit};
use aes::{Aes128Dec, Aes128Enc};
use zeroize::Zeroizing;

/// The Default Session Key (RFC 7425 §4.1).
pub const DEFAULT_KEY: &[u8; 16] = b"Adobe Systems 02";

/// The length of a cipher block in bytes.
pub(super) const BLOCK: usize = 16;

/// A key to encrypt with.
#[derive(Clone)]
pub(super) enum EncryptKey {
    /// The default key, expanded once for all.
    Startup,
    /// The key of a session.
    Session(Zeroizing<[u8; 16]>),
}

impl EncryptKey {
    pub(super) fn new(key: &[u8; 16]) -> Self {
        Self::Session(Zeroizing::new(*key))
    }

    /// Encrypts whole blocks in place; a rest shorter than a block is left alone.
    pub(super) fn encrypt(&self, data: &mut [u8]) {
        static STARTUP: OnceLock<Aes128Enc> = OnceLock::new();
        match self {
            Self::Startup => encrypt(STARTUP.get_or_init(|| Aes128Enc::new(DEFAULT_KEY.into())), data),
            Self::Session(key) => encrypt(&Aes128Enc::new((&**key).into()), data),
        }
    }
}

/// A key to decrypt with.
#[derive(Clone)]
pub(super) enum DecryptKey {
    /// The default key, expanded once for all.
    Startup,
    /// The key of a session.
    Session(Zeroizing<[u8; 16]>),
}

impl DecryptKey {
    pub(super) fn new(key: &[u8; 16]) -> Self {
        Self::Session(Zeroizing::new(*key))
    }

    /// Decrypts whole blocks in place; a rest shorter than a block is left alone.
    pub(super) fn decrypt(&self, data: &mut [u8]) {
        static STARTUP: OnceLock<Aes128Dec> = OnceLock::new();
        match self {
            Self::Startup => decrypt(STARTUP.get_or_init(|| Aes128Dec::new(DEFAULT_KEY.into())), data),
            Self::Session(key) => decrypt(&Aes128Dec::new((&**key).into()), data),
        }
    }
}

fn encrypt(cipher: &Aes128Enc, data: &mut [u8]) {
    let (blocks, _) = Array::slice_as_chunks_mut(data);
    cbc::Encryptor::inner_iv_init(cipher, &Array::default()).encrypt_blocks(blocks);
}

fn decrypt(cipher: &Aes128Dec, data: &mut [u8]) {
    let (blocks, _) = Array::slice_as_chunks_mut(data);
    cbc::Decryptor::inner_iv_init(cipher, &Array::default()).decrypt_blocks(blocks);
}

/// The simple checksum (RFC 7425 §4.7.3.1). An odd last byte is the low half of a word, unlike in RFC 1071.
pub(super) fn checksum(data: &[u8]) -> u16 {
    let (words, rest) = data.as_chunks::<2>();
    let mut sum: u64 = words.iter().map(|word| u64::from(u16::from_be_bytes(*word))).sum();
    sum += rest.first().map_or(0, |byte| u64::from(*byte));
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
