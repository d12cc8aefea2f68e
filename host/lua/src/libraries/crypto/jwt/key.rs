//! Keys that verify tokens: PEM, JSON Web Keys (RFC 7517) and sets of them, and the bytes of a shared secret.

use jsonwebtoken::errors::{Error as TokenError, ErrorKind};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use mlua::{Error, Lua, Result, Value};

use crate::engine::vm_context::VmContext;
use crate::libraries::json::{self, Style};

/// The longest text of a key or a set of keys, in bytes.
const MAX_KEY: usize = 256 << 10;
/// The most keys of a set.
const MAX_KEYS: usize = 100;

/// The key that the caller gives.
pub(super) enum JwtKey {
    /// One key, and the algorithms that it is for.
    One(DecodingKey, Vec<Algorithm>),
    /// A set, of which the token names one.
    Set(JwkSet),
}

/// A key and the algorithms that count with it, or why the token has none.
pub(super) type Selected = std::result::Result<(DecodingKey, Vec<Algorithm>), String>;

impl JwtKey {
    /// # Errors
    /// What is wrong with the key.
    pub(super) fn read(lua: &Lua, context: &VmContext, key: &Value) -> Result<Self> {
        match key {
            Value::String(text) => Self::of_text(&text.as_bytes()),
            // A key that json.decode has read.
            Value::Table(_) => Self::of_json(&json::encode(lua, context, key, Style::Compact)?),
            _ => Err(wrong("it is a string (PEM, JSON, or the bytes of a shared secret) or a table (a JSON Web Key)")),
        }
    }

    fn of_text(text: &[u8]) -> Result<Self> {
        if text.len() > MAX_KEY {
            return Err(wrong(&format!("it is longer than {MAX_KEY} bytes")));
        }
        let start = text.trim_ascii_start();
        // A public key must never serve as a shared secret, which everyone knows then.
        if start.starts_with(b"-----BEGIN") {
            of_pem(text)
        } else if start.starts_with(b"{") {
            Self::of_json(text)
        } else if is_der(text) {
            Err(wrong("it looks like a key in DER: give it in PEM"))
        } else {
            let key = DecodingKey::from_secret(text).map_err(|_| wrong("it is empty"))?;
            Ok(Self::One(key, vec![Algorithm::HS256, Algorithm::HS384, Algorithm::HS512]))
        }
    }

    fn of_json(text: &[u8]) -> Result<Self> {
        if text.len() > MAX_KEY {
            return Err(wrong(&format!("it is longer than {MAX_KEY} bytes")));
        }
        if let Ok(set) = serde_json::from_slice::<JwkSet>(text) {
            if set.keys.len() > MAX_KEYS {
                return Err(wrong(&format!("a set has at most {MAX_KEYS} keys")));
            }
            return Ok(Self::Set(set));
        }
        let key: Jwk =
            serde_json::from_slice(text).map_err(|error| wrong(&format!("it is no JSON Web Key: {error}")))?;
        let (key, algorithms) = of_jwk(&key).map_err(|problem| wrong(&problem))?;
        Ok(Self::One(key, algorithms))
    }

    /// The key for a token that names this one, if it names any, and the algorithms that count: those that fit the key, and of them only
    /// those that the caller has named, if it has.
    ///
    /// # Errors
    /// If none of the algorithms of the caller fits its key.
    pub(super) fn select(&self, name: Option<&str>, wanted: Option<&[Algorithm]>) -> Result<Selected> {
        let narrowed = |fitting: &[Algorithm]| -> Vec<Algorithm> {
            let is_wanted = |algorithm: &&Algorithm| wanted.is_none_or(|wanted| wanted.contains(algorithm));
            fitting.iter().filter(is_wanted).copied().collect()
        };
        let key = match self {
            Self::One(key, fitting) => {
                let algorithms = narrowed(fitting);
                if algorithms.is_empty() {
                    return Err(wrong(&format!(
                        "it is for {fitting:?}, and none of these is among the algorithms named"
                    )));
                }
                return Ok(Ok((key.clone(), algorithms)));
            }
            Self::Set(set) => match (name, &set.keys[..]) {
                (Some(name), _) => set.find(name),
                (None, [only]) => Some(only),
                (None, _) => {
                    return Ok(Err("the token does not say by a kid which key of the set is its own".to_owned()));
                }
            },
        };
        let Some(key) = key else { return Ok(Err("the set has no key of the token's kid".to_owned())) };
        let selected = of_jwk(key).map(|(key, fitting)| (key, narrowed(&fitting)));
        Ok(selected.and_then(|(key, algorithms)| match algorithms.is_empty() {
            true => Err("the token's key is for another algorithm than the caller allows".to_owned()),
            false => Ok((key, algorithms)),
        }))
    }
}

/// Whether bytes are one sequence in DER, as a public key without its PEM is.
fn is_der(bytes: &[u8]) -> bool {
    match bytes {
        [0x30, 0x82, high, low, rest @ ..] => rest.len() == usize::from(u16::from_be_bytes([*high, *low])),
        [0x30, 0x81, length, rest @ ..] => rest.len() == usize::from(*length),
        [0x30, length, rest @ ..] => rest.first() == Some(&0x30) && rest.len() == usize::from(*length),
        _ => false,
    }
}

fn wrong(problem: &str) -> Error {
    Error::runtime(format!("the key of crypto.verifyJwt is wrong: {problem}"))
}

/// A public key in PEM.
fn of_pem(text: &[u8]) -> Result<JwtKey> {
    if text.windows(11).any(|window| window == b"PRIVATE KEY") {
        return Err(wrong("it is a private key; the public one verifies tokens, and may be known to all"));
    }
    // In a configuration file its lines may be indented.
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    let text = &lines.join(&b'\n');
    let made = [DecodingKey::from_rsa_pem, DecodingKey::from_ec_pem, DecodingKey::from_ed_pem]
        .into_iter()
        .find_map(|read| read(text).ok().and_then(|key| fitting(&key).map(|algorithms| (key, algorithms))));
    let problem = "it is no PEM of a public key (RSA of at least 2048 bits, P-256, P-384 or Ed25519)";
    made.map(|(key, algorithms)| JwtKey::One(key, algorithms)).ok_or_else(|| wrong(problem))
}

/// The algorithms for a key that does not say which it is for. `None` if there are none.
fn fitting(key: &DecodingKey) -> Option<Vec<Algorithm>> {
    match (key.family(), key.try_get_as_bytes().map_or(0, <[u8]>::len)) {
        (AlgorithmFamily::Rsa, _) => Some(AlgorithmFamily::Rsa.algorithms().to_vec()),
        (AlgorithmFamily::Ec, 65) => Some(vec![Algorithm::ES256]),
        (AlgorithmFamily::Ec, 97) => Some(vec![Algorithm::ES384]),
        (AlgorithmFamily::Ed, 32) => Some(vec![Algorithm::EdDSA]),
        (AlgorithmFamily::Hmac, _) => Some(AlgorithmFamily::Hmac.algorithms().to_vec()),
        _ => None,
    }
}

/// A key and the algorithms that it is for, or what is wrong with it.
fn of_jwk(jwk: &Jwk) -> std::result::Result<(DecodingKey, Vec<Algorithm>), String> {
    if jwk.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
        return Err("the key is not for signatures".to_owned());
    }
    let is_known = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(key) => [EllipticCurve::P256, EllipticCurve::P384].contains(&key.curve),
        AlgorithmParameters::OctetKeyPair(key) => key.curve == EllipticCurve::Ed25519,
        AlgorithmParameters::RSA(_) | AlgorithmParameters::OctetKey(_) => true,
        _ => false,
    };
    let key = if is_known { DecodingKey::from_jwk(jwk).ok() } else { None };
    let fitting = key.and_then(|key| fitting(&key).map(|algorithms| (key, algorithms)));
    let (key, mut algorithms) =
        fitting.ok_or("the JSON Web Key is of a kind that is not known here, or its parts are malformed")?;
    if let Some(named) = jwk.common.key_algorithm {
        algorithms.retain(|algorithm| Algorithm::try_from(named).is_ok_and(|named| named == *algorithm));
        if algorithms.is_empty() {
            return Err("the JSON Web Key names an algorithm (alg) that does not fit it".to_owned());
        }
    }
    Ok((key, algorithms))
}

/// Whether an error is the fault of the key, not of the token.
pub(super) fn is_wrong(error: &TokenError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidEcdsaKey
            | ErrorKind::InvalidEddsaKey
            | ErrorKind::InvalidRsaKey(_)
            | ErrorKind::InvalidKeyFormat
    )
}
