//! Passwords of a group: what stands in the canonical part, and what in the authorizations.
//!
//! How Flash forms either is not known; this is introd's own form. It serves groups whose members all run it, and keeps the
//! groups of different passwords apart.

use rtmfp::wire::vlu;
use sha2::{Digest, Sha256};

/// A password that members need to post or to publish.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    password: String,
    salt: Vec<u8>,
}

impl Password {
    /// A password, salted so that the same one in two groups does not show.
    pub fn new(password: impl Into<String>, salt: impl Into<Vec<u8>>) -> Self {
        Self { password: password.into(), salt: salt.into() }
    }

    /// What every member sees: SHA-256 over the length of the salt, the salt and the password.
    pub(super) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.authorization()).into()
    }

    /// What only those see who may: the salt behind its length (RFC 7016 §2.1.2), then the password.
    pub(super) fn authorization(&self) -> Vec<u8> {
        let mut value = Vec::new();
        vlu::put_prefixed(&self.salt, &mut value);
        value.extend_from_slice(self.password.as_bytes());
        value
    }

    /// Whether `authorization`, found in a groupspec, is what `hash` in its canonical part was made of.
    pub fn authorizes(authorization: &[u8], hash: &[u8]) -> bool {
        Sha256::digest(authorization)[..] == *hash
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}
