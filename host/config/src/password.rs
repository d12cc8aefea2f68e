//! Passwords of administrators, as they stand in Users.xml.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::view::View;

/// Fewer iterations protect nothing.
const LEAST_ITERATIONS: u32 = 10_000;
/// More would let one login attempt stall the administration for seconds.
const MOST_ITERATIONS: u32 = 10_000_000;

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

    /// The password at a path; `None` if there is none, or none that can be verified.
    pub(super) fn read(view: &View<'_>, path: &str) -> Option<Self> {
        let form = view.word(
            &format!("{path}@encrypt"),
            &[("false", Form::Plain), ("true", Form::Foreign), ("pbkdf2-sha256", Form::Pbkdf2)],
        );
        if matches!(form, Form::Foreign) {
            view.warning(path, |path| {
                format!("{path}: what Adobe's servers encrypt cannot be verified; set the password anew")
            });
        }
        view.parsed(path, |_, text| match form {
            _ if text.is_empty() => Ok(None),
            _ if text.len() > 4096 => Err(Some("must be a text of at most 4096 bytes".into())),
            Form::Foreign => Ok(None),
            Form::Plain => Ok(Some(Self::Plain(text.into()))),
            Form::Pbkdf2 => Self::parse_hashed(text).map(Some).ok_or_else(|| {
                let bounds = format!(
                    "{LEAST_ITERATIONS} to {MOST_ITERATIONS} iterations, a salt of 8 to 64 bytes and a hash of 32"
                );
                Some(format!("must be `iterations$salt$hash`: {bounds}, both in hexadecimal digits"))
            }),
        })
    }

    fn parse_hashed(text: &str) -> Option<Self> {
        let mut parts = text.split('$');
        let (iterations, salt, hash) = (parts.next()?.parse().ok()?, unhex(parts.next()?)?, unhex(parts.next()?)?);
        let is_sound = (LEAST_ITERATIONS..=MOST_ITERATIONS).contains(&iterations) && (8..=64).contains(&salt.len());
        (is_sound && parts.next().is_none()).then_some(Self::Pbkdf2 { iterations, salt, hash: hash.try_into().ok()? })
    }
}

/// As it stands in the file.
impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(password) => f.write_str(password),
            Self::Pbkdf2 { iterations, salt, hash } => {
                let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
                write!(f, "{iterations}${}${}", hex(salt), hex(hash))
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

#[derive(Clone, Copy)]
enum Form {
    Plain,
    Foreign,
    Pbkdf2,
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

/// RFC 8018 §5.2, the first block, which is as long as the hash.
fn pbkdf2(password: &str, salt: &[u8], iterations: u32) -> [u8; 32] {
    let Ok(keyed) = Hmac::<Sha256>::new_from_slice(password.as_bytes()) else {
        unreachable!("HMAC takes keys of any length")
    };
    let mut block: [u8; 32] =
        keyed.clone().chain_update(salt).chain_update(1u32.to_be_bytes()).finalize().into_bytes().into();
    let mut hash = block;
    for _ in 1..iterations {
        block = keyed.clone().chain_update(block).finalize().into_bytes().into();
        hash.iter_mut().zip(block).for_each(|(sum, byte)| *sum ^= byte);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pbkdf2_gives_the_figures_of_rfc_7914() {
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
        let hashed = Password::hashed("s3cret", b"12345678", LEAST_ITERATIONS);
        let read = Password::parse_hashed(&hashed.to_string()).unwrap();
        assert_eq!(read, hashed);
        assert!(read.verify("s3cret"));
        assert!(!read.verify("s3creT"));
        assert!(Password::Plain("a".into()).verify("a"));
        assert!(!Password::Plain("a".into()).verify(""));
        assert_eq!(format!("{hashed:?} {:?}", Password::Plain("a".into())), "Password::Pbkdf2(..) Password::Plain(..)");
    }
}
