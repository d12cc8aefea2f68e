//! Verifies passwords, without holding up the administration's thread.

use hmac::{Hmac, KeyInit as _, Mac as _};
use introd_config::Password;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use tokio::sync::{Mutex, MutexGuard};

/// How many right passwords are remembered.
const MAX_KNOWN: usize = 64;

/// Verifies passwords, one at a time. A program that asks many times a second costs the work of a hash once: what was right is
/// remembered, as a keyed digest.
pub(super) struct Passwords {
    key: Option<[u8; 32]>,
    known: Mutex<Vec<Known>>,
}

/// A password that was right.
struct Known {
    /// What the configuration says: when that changes, this does not count any more.
    configured: Password,
    digest: [u8; 32],
}

impl Passwords {
    pub(super) fn new() -> Self {
        let mut key = [0; 32];
        // Without a random key nothing is remembered, and each login costs the work of a hash.
        let key = getrandom::fill(&mut key).is_ok().then_some(key);
        Self { key, known: Mutex::default() }
    }

    /// Waits until no other password is being verified.
    pub(super) async fn turn(&self) -> Turn<'_> {
        Turn { key: self.key, known: self.known.lock().await }
    }
}

/// The right to verify a password.
pub(super) struct Turn<'a> {
    key: Option<[u8; 32]>,
    known: MutexGuard<'a, Vec<Known>>,
}

impl Turn<'_> {
    /// Whether a password is the one that is configured; none is right if none is configured.
    pub(super) async fn verify(&mut self, configured: Option<&Password>, user: &str, password: &str) -> bool {
        let Some(configured) = configured else { return false };
        let digest = self.key.and_then(|key| digest(&key, user, password));
        let is_known = |digest: &[u8; 32]| {
            let known = self.known.iter().filter(|known| known.configured == *configured);
            known.fold(false, |is_known, known| is_known | bool::from(known.digest.ct_eq(digest)))
        };
        if digest.as_ref().is_some_and(is_known) {
            return true;
        }
        let (right, given) = (configured.clone(), password.to_owned());
        let verified = tokio::task::spawn_blocking(move || right.verify(&given)).await;
        let is_right = verified.unwrap_or(false);
        if let Some(digest) = digest.filter(|_| is_right) {
            if self.known.len() >= MAX_KNOWN {
                self.known.remove(0);
            }
            self.known.push(Known { configured: configured.clone(), digest });
        }
        is_right
    }
}

fn digest(key: &[u8], user: &str, password: &str) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(&(user.len() as u64).to_be_bytes());
    mac.update(user.as_bytes());
    mac.update(password.as_bytes());
    Some(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_right_is_remembered_until_the_configuration_changes() {
        let passwords = Passwords::new();
        let hashed = Password::hashed("s3cret", b"12345678", 10_000);
        for _ in 0..3 {
            assert!(passwords.turn().await.verify(Some(&hashed), "a", "s3cret").await);
        }
        assert_eq!(passwords.known.lock().await.len(), 1, "the hash is made once");
        assert!(!passwords.turn().await.verify(Some(&hashed), "a", "other").await);
        assert!(!passwords.turn().await.verify(None, "a", "s3cret").await);
        let changed = Password::hashed("other", b"12345678", 10_000);
        assert!(!passwords.turn().await.verify(Some(&changed), "a", "s3cret").await);
        assert!(passwords.turn().await.verify(Some(&changed), "a", "other").await);
        assert_eq!(passwords.known.lock().await.len(), 2);
    }

    #[tokio::test]
    async fn a_bounded_number_of_passwords_is_remembered() {
        let passwords = Passwords::new();
        for number in 0..2 * MAX_KNOWN {
            let password = number.to_string();
            assert!(passwords.turn().await.verify(Some(&Password::Plain(password.clone())), "a", &password).await);
        }
        assert_eq!(passwords.known.lock().await.len(), MAX_KNOWN);
    }

    #[test]
    fn digests_tell_users_passwords_and_keys_apart() {
        let all = [("k", "a", "bc"), ("k", "ab", "c"), ("k", "a", "bd"), ("l", "a", "bc")];
        let digests = all.map(|(key, user, password)| digest(key.as_bytes(), user, password).unwrap());
        for (index, one) in digests.iter().enumerate() {
            assert!(digests.iter().skip(index + 1).all(|other| one != other));
        }
    }
}
