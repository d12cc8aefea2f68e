//! Why keying fails.

use crate::wire::Malformed;

/// Why a session cannot be keyed. The far end gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyingError {
    /// The bytes of the component make no sense.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// There is no group that both ends can use, or the far end chose one that this end cannot use.
    #[error("no common Diffie-Hellman group")]
    NoCommonGroup,
    /// The far end's component lacks the public key or the group selection that goes with the certificates (§4.6.1).
    #[error("no public key where one is needed")]
    KeyMissing,
    /// The far end's public key fails the tests of §4.6.2.
    #[error("unacceptable Diffie-Hellman public key")]
    UnacceptableKey,
    /// This end requires HMACs, and the far end sends none (§4.6.4).
    #[error("the far end sends no HMAC")]
    HmacRequired,
    /// This end requires session sequence numbers, and the far end sends none (§4.6.6).
    #[error("the far end sends no session sequence numbers")]
    SequenceNumbersRequired,
    /// This end requires a signature that proves a password, and the far end's does not (§4.3.5).
    #[error("the far end's signature proves no password that we know")]
    SignatureRequired,
    /// The far end would send HMACs of a length outside 4 to 32 (§4.6.4).
    #[error("HMAC length outside 4 to 32")]
    HmacLength,
}

impl From<UnacceptableKey> for KeyingError {
    fn from(_: UnacceptableKey) -> Self {
        Self::UnacceptableKey
    }
}

/// A public key that fails one of the tests of RFC 7425 §4.6.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unacceptable Diffie-Hellman public key")]
pub struct UnacceptableKey;
