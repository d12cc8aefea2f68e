//! Passwords of a group: their hashes in the canonical part, and the authorizations after it.
//!
//! It is not known how Flash writes either, so this is introd's own form. It serves groups whose members all use it, and groups with
//! different passwords have different digests.

use rtmfp::wire::vlu;
use sha2::{Digest, Sha256};

/// A password that members need to post or to publish.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    password: String,
    salt: Vec<u8>,
}

impl Password {
    /// A password with a salt, so that nobody sees that two groups have the same password.
    pub fn new(password: impl Into<String>, salt: impl Into<Vec<u8>>) -> Self {
        Self { password: password.into(), salt: salt.into() }
    }

    /// The hash, which every member sees: SHA-256 over the length of the salt, the salt and the password.
    pub(super) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.authorization()).into()
    }

    /// The authorization, which only authorized members see: the length of the salt (RFC 7016 §2.1.2), the salt, and the password.
    pub(super) fn authorization(&self) -> Vec<u8> {
        let mut value = Vec::new();
        vlu::put_prefixed(&self.salt, &mut value);
        value.extend_from_slice(self.password.as_bytes());
        value
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}
