//! Passwords of administrators, as they stand in Users.xml.

use std::fmt;

use pbkdf2::pbkdf2_hmac;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Fewer iterations protect nothing.
const MIN_ITERATIONS: u32 = 10_000;
/// More would let one login attempt stall the administration for seconds.
const MAX_ITERATIONS: u32 = 10_000_000;

/// How to recognise a password. Its `Debug` form keeps it to itself.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// The password itself.
    Plain(String),
    /// PBKDF2 with HMAC-SHA-256 (RFC 8018 §5.2), one block long.
    Pbkdf2 {
        /// How often the hash is made.
        iterations: u32,
        /// At least 8 bytes, other for each user.
        salt: Vec<u8>,
        /// What the right password gives.
        hash: [u8; 32],
    },
}

impl Password {
    /// Whether this is the password. The time it takes tells nothing of how much of it is right.
    pub fn verify(&self, password: &str) -> bool {
        match self {
            Self::Plain(right) => right.as_bytes().ct_eq(password.as_bytes()).into(),
            Self::Pbkdf2 { iterations, salt, hash } => pbkdf2(password, salt, *iterations).ct_eq(hash).into(),
        }
    }

    /// The hashed form of a password.
    pub fn hashed(password: &str, salt: &[u8], iterations: u32) -> Self {
        Self::Pbkdf2 { iterations, salt: salt.to_vec(), hash: pbkdf2(password, salt, iterations) }
    }

    /// Reads the hashed form of a password.
    pub(super) fn parse_hashed(text: &str) -> Result<Self, String> {
        Self::hash(text).ok_or_else(|| {
            let bounds =
                format!("{MIN_ITERATIONS} to {MAX_ITERATIONS} iterations, a salt of 8 to 64 bytes and a hash of 32");
            format!("must be `iterations$salt$hash`: {bounds}, both in hexadecimal digits")
        })
    }

    fn hash(text: &str) -> Option<Self> {
        let mut parts = text.split('$');
        let iterations = parts.next()?.parse().ok()?;
        let (salt, hash) = (hex::decode(parts.next()?).ok()?, hex::decode(parts.next()?).ok()?);
        let is_sound = (MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations) && (8..=64).contains(&salt.len());
        (is_sound && parts.next().is_none()).then_some(Self::Pbkdf2 { iterations, salt, hash: hash.try_into().ok()? })
    }
}

/// As it stands in the file.
impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(password) => f.write_str(password),
            Self::Pbkdf2 { iterations, salt, hash } => {
                write!(f, "{iterations}${}${}", hex::encode(salt), hex::encode(hash))
            }
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Password::Plain(..)",
            Self::Pbkdf2 { .. } => "Password::Pbkdf2(..)",
        })
    }
}

fn pbkdf2(password: &str, salt: &[u8], iterations: u32) -> [u8; 32] {
    let mut hash = [0; 32];
    pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, iterations, &mut hash);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pbkdf2_gives_the_values_of_rfc_7914() {
        // RFC 7914 §11: the first 32 of 64 bytes.
        assert_eq!(
            Password::hashed("passwd", b"salt", 1).to_string(),
            "1$73616c74$55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
        );
        assert_eq!(
            Password::hashed("Password", b"NaCl", 80000).to_string(),
            "80000$4e61436c$4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
        );
    }

    #[test]
    fn a_hash_recognises_its_password_and_no_other() {
        let hashed = Password::hashed("s3cret", b"12345678", MIN_ITERATIONS);
        let read = Password::parse_hashed(&hashed.to_string()).unwrap();
        assert_eq!(read, hashed);
        assert!(read.verify("s3cret"));
        assert!(!read.verify("s3creT"));
        assert!(Password::Plain("a".into()).verify("a"));
        assert!(!Password::Plain("a".into()).verify(""));
        assert_eq!(format!("{hashed:?} {:?}", Password::Plain("a".into())), "Password::Pbkdf2(..) Password::Plain(..)");
    }

    #[test]
    fn a_hash_out_of_bounds_is_refused() {
        let text = |iterations: u32, salt: usize, hash: usize| {
            format!("{iterations}${}${}", "ab".repeat(salt), "cd".repeat(hash))
        };
        let is_right = |text: &str| Password::parse_hashed(text).is_ok();
        for (iterations, salt) in [(MIN_ITERATIONS, 8), (MAX_ITERATIONS, 64)] {
            assert!(is_right(&text(iterations, salt, 32)));
        }
        for (iterations, salt, hash) in [
            (MIN_ITERATIONS - 1, 8, 32),
            (MAX_ITERATIONS + 1, 8, 32),
            (MIN_ITERATIONS, 7, 32),
            (MIN_ITERATIONS, 65, 32),
            (MIN_ITERATIONS, 8, 31),
            (MIN_ITERATIONS, 8, 33),
        ] {
            assert!(!is_right(&text(iterations, salt, hash)), "{iterations} {salt} {hash}");
        }
        let right = text(MIN_ITERATIONS, 8, 32);
        assert!(!is_right(&format!("{right}$")) && !is_right(&right.replace("ab", "xy")) && !is_right("secret"));
    }
}
