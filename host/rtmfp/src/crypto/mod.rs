//! The cryptography profile for Flash communication (RFC 7425 §4).
//!
//! Nothing here holds a source of randomness: callers pass a [`rand_core::CryptoRng`].

pub mod certificate;
pub mod cipher;
pub mod component;
pub mod cookie;
pub mod dh;
pub mod epd;
pub mod identity;
pub mod keying;
pub mod peer_id;
pub mod replay;
pub mod session_keys;
pub mod signature;

pub use certificate::Certificate;
pub use cipher::{Opener, Rejected, Sealer};
pub use component::{HmacPreference, Preferences, SequencePreference};
pub use cookie::{CookieJar, Verdict};
pub use dh::{Group, KeyPair, SharedSecret, UnacceptableKey};
pub use epd::Epd;
pub use identity::Identity;
pub use keying::{KeyingError, Offer, Response, respond};
pub use peer_id::PeerId;
pub use session_keys::{KeyLog, SessionKeys};
pub use signature::{Password, Signing};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// HMAC-SHA256 of the parts, one after the other.
fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed_hmac(key);
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// An HMAC-SHA256 state that has taken in its key, and only that.
fn keyed_hmac(key: &[u8]) -> Hmac<Sha256> {
    // RFC 2104 §2: a key is padded with zeros to the length of a block; one longer than that is hashed first.
    let mut block = Zeroizing::new([0; 64]);
    match block.get_mut(..key.len()) {
        Some(start) => start.copy_from_slice(key),
        None => block[..32].copy_from_slice(&Sha256::digest(key)),
    }
    Hmac::new((&*block).into())
}
