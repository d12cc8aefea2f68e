//! Signatures of keying parameters (RFC 7425 §4.3.5). There are no signing keys in this profile; a signature can only prove
//! that its sender knows a password.

use subtle::ConstantTimeEq;

use super::hmac_sha256;
use crate::wire::option::{self, Element};

/// What to send for a signature when there is nothing to sign with.
pub const NONE: &[u8] = b"X";

/// Simple Password (§4.3.5.1.1).
const SIMPLE_PASSWORD: u64 = 0x1d;

/// What became of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It proves no password that we know; whoever requires none is content.
    Absent,
    /// At least one password is proved, and none is wrong.
    Valid,
    /// It names a password that we know and proves another.
    Invalid,
}

/// Appends the proof that the sender knows `password`, called `id` by both ends, over the signed parameters. Can be used more
/// than once for one signature.
pub fn sign(id: &[u8], password: &[u8], signed: &[u8], out: &mut Vec<u8>) {
    let mut value = hmac_sha256(password, &[signed]).to_vec();
    value.extend_from_slice(id);
    option::put(SIMPLE_PASSWORD, &value, out);
}

/// Judges a signature. `password_of` gives the password called by an identifier, if there is one.
///
/// A malformed signature and the letter X count as empty; options not understood and identifiers not known are ignored
/// (§4.3.5).
pub fn verify(signature: &[u8], signed: &[u8], mut password_of: impl FnMut(&[u8]) -> Option<Vec<u8>>) -> Verdict {
    let Ok(elements) = option::elements(signature).collect::<Result<Vec<_>, _>>() else { return Verdict::Absent };
    let mut verdict = Verdict::Absent;
    for element in elements {
        let Element::Option { kind: SIMPLE_PASSWORD, value } = element else { continue };
        let Some((mac, id)) = value.split_first_chunk::<32>() else { continue };
        let Some(password) = password_of(id) else { continue };
        if !bool::from(hmac_sha256(&password, &[signed]).ct_eq(mac)) {
            return Verdict::Invalid;
        }
        verdict = Verdict::Valid;
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(id: &[u8]) -> Option<Vec<u8>> {
        match id {
            b"old" => Some(b"one".to_vec()),
            b"new" => Some(b"two".to_vec()),
            _ => None,
        }
    }

    fn signature(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (id, password) in pairs {
            sign(id.as_bytes(), password.as_bytes(), b"parameters", &mut out);
        }
        out
    }

    #[test]
    fn passwords_known_and_unknown() {
        for (pairs, expected) in [
            (&[][..], Verdict::Absent),
            (&[("stranger", "one")], Verdict::Absent),
            (&[("old", "one")], Verdict::Valid),
            (&[("old", "two")], Verdict::Invalid),
            (&[("stranger", "x"), ("new", "two")], Verdict::Valid),
            (&[("old", "one"), ("new", "one")], Verdict::Invalid),
        ] {
            assert_eq!(verify(&signature(pairs), b"parameters", known), expected, "{pairs:?}");
        }
        assert_eq!(verify(&signature(&[("old", "one")]), b"other parameters", known), Verdict::Invalid);
    }

    #[test]
    fn malformed_is_as_if_empty() {
        assert_eq!(verify(NONE, b"parameters", known), Verdict::Absent);
        let whole = signature(&[("old", "two")]);
        assert_eq!(verify(&[&whole[..], b"X"].concat(), b"parameters", known), Verdict::Absent);
        for end in 0..whole.len() {
            assert_eq!(verify(&whole[..end], b"parameters", known), Verdict::Absent, "{end}");
        }
        let mut short = Vec::new();
        option::put(SIMPLE_PASSWORD, &[0; 31], &mut short);
        option::put(0x55, b"unknown", &mut short);
        assert_eq!(verify(&short, b"parameters", known), Verdict::Absent);
    }
}
