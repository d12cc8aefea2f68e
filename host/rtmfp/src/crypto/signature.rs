//! Signatures of keying parameters (RFC 7425 §4.3.5). There are no signing keys in this profile; a signature can only prove
//! that its sender knows a password.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::keyed_hmac::KeyedHmac;
use crate::wire::option;
use crate::wire::option::Element;

/// What to send for a signature when there is nothing to sign with.
pub const NONE: &[u8] = b"X";

/// Simple Password (§4.3.5.1.1).
const SIMPLE_PASSWORD: u64 = 0x1d;

/// A password that two ends share, and the name that both know it by.
///
/// The name and the proof are sent under the Default Session Key, which is public: an eavesdropper can try passwords at leisure, so
/// take long random ones.
#[derive(Clone)]
pub struct Password {
    id: Vec<u8>,
    secret: Zeroizing<Vec<u8>>,
}

impl Password {
    /// The password called `id`.
    pub fn new(id: impl Into<Vec<u8>>, secret: impl Into<Vec<u8>>) -> Self {
        Self { id: id.into(), secret: Zeroizing::new(secret.into()) }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Password").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What an endpoint's signatures prove, and what it asks others to prove. By default nothing.
#[derive(Clone, Debug, Default)]
pub struct Signing {
    /// The passwords that this end proves to know in every keying that it sends, as initiator and as responder.
    pub sign_with: Vec<Password>,
    /// The passwords that others can prove to know.
    pub known: Vec<Password>,
    /// As responder, take keyings only from initiators that prove one of [`Self::known`].
    pub require_of_initiators: bool,
    /// As initiator, take only the answers of responders that prove one of [`Self::known`].
    pub require_of_responders: bool,
}

impl Signing {
    /// This end's signature over the signed parameters.
    pub(crate) fn sign(&self, signed: &[u8]) -> Vec<u8> {
        let mut signature = Vec::new();
        self.sign_with.iter().for_each(|password| sign(&password.id, &password.secret, signed, &mut signature));
        if signature.is_empty() { NONE.to_vec() } else { signature }
    }

    /// Is this initiator's signature good enough? Where none is required, every one is (§4.3.5).
    pub(crate) fn accepts_initiator(&self, signature: &[u8], signed: &[u8]) -> bool {
        !self.require_of_initiators || self.proves(signature, signed)
    }

    /// Is this responder's?
    pub(crate) fn accepts_responder(&self, signature: &[u8], signed: &[u8]) -> bool {
        !self.require_of_responders || self.proves(signature, signed)
    }

    fn proves(&self, signature: &[u8], signed: &[u8]) -> bool {
        let password_of = |id: &[u8]| {
            let known = self.known.iter().find(|password| password.id == id)?;
            Some(known.secret.to_vec())
        };
        verify(signature, signed, password_of) == SignatureVerdict::Valid
    }
}

/// What became of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureVerdict {
    /// It proves no password that is known here. That is enough where none is required.
    Absent,
    /// It proves at least one password, and none wrongly.
    Valid,
    /// It names a password that is known here, and proves another.
    Invalid,
}

/// Appends the proof that the sender knows `password`, called `id` by both ends, over the signed parameters. Can be used more
/// than once for one signature.
pub fn sign(id: &[u8], password: &[u8], signed: &[u8], out: &mut Vec<u8>) {
    let mut value = KeyedHmac::new(password).of(&[signed]).to_vec();
    value.extend_from_slice(id);
    option::put(SIMPLE_PASSWORD, &value, out);
}

/// Judges a signature. `password_of` gives the password called by an identifier, if there is one.
///
/// A malformed signature and the letter X count as empty: malformed is also one with a Simple Password too short for its HMAC.
/// Options not understood and identifiers not known are ignored (§4.3.5).
pub fn verify(
    signature: &[u8],
    signed: &[u8],
    mut password_of: impl FnMut(&[u8]) -> Option<Vec<u8>>,
) -> SignatureVerdict {
    let Ok(elements) = option::elements(signature).collect::<Result<Vec<_>, _>>() else {
        return SignatureVerdict::Absent;
    };
    let mut verdict = SignatureVerdict::Absent;
    for element in elements {
        let Element::Option { kind: SIMPLE_PASSWORD, value } = element else { continue };
        let Some((mac, id)) = value.split_first_chunk::<32>() else { return SignatureVerdict::Absent };
        let Some(password) = password_of(id) else { continue };
        if !bool::from(KeyedHmac::new(&password).of(&[signed]).ct_eq(mac)) {
            return SignatureVerdict::Invalid;
        }
        verdict = SignatureVerdict::Valid;
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
            (&[][..], SignatureVerdict::Absent),
            (&[("stranger", "one")], SignatureVerdict::Absent),
            (&[("old", "one")], SignatureVerdict::Valid),
            (&[("old", "two")], SignatureVerdict::Invalid),
            (&[("stranger", "x"), ("new", "two")], SignatureVerdict::Valid),
            (&[("old", "one"), ("new", "one")], SignatureVerdict::Invalid),
        ] {
            assert_eq!(verify(&signature(pairs), b"parameters", known), expected, "{pairs:?}");
        }
        assert_eq!(verify(&signature(&[("old", "one")]), b"other parameters", known), SignatureVerdict::Invalid);
    }

    #[test]
    fn required_or_not() {
        let (old, new) = (Password::new("old", "one"), Password::new("new", "two"));
        let signer = Signing { sign_with: vec![old.clone(), new], ..Signing::default() };
        let signature = signer.sign(b"parameters");
        assert_eq!(Signing::default().sign(b"parameters"), NONE);
        assert!(Signing::default().accepts_initiator(b"nonsense", b"parameters"), "nothing is required");
        let known = vec![old];
        let of_initiators = Signing { known, require_of_initiators: true, ..Signing::default() };
        assert!(of_initiators.accepts_initiator(&signature, b"parameters"));
        assert!(!of_initiators.accepts_initiator(&signature, b"other parameters"));
        assert!(!of_initiators.accepts_initiator(NONE, b"parameters"));
        assert!(of_initiators.accepts_responder(NONE, b"parameters"));
        let of_responders = Signing { require_of_initiators: false, require_of_responders: true, ..of_initiators };
        assert!(of_responders.accepts_responder(&signature, b"parameters"));
        assert!(!of_responders.accepts_responder(NONE, b"parameters"));
        assert!(of_responders.accepts_initiator(NONE, b"parameters"));
        assert!(!format!("{signer:?}").contains(&format!("{:?}", b"one")));
    }

    #[test]
    fn malformed_is_as_if_empty() {
        assert_eq!(verify(NONE, b"parameters", known), SignatureVerdict::Absent);
        let whole = signature(&[("old", "two")]);
        assert_eq!(verify(&[&whole[..], b"X"].concat(), b"parameters", known), SignatureVerdict::Absent);
        for end in 0..whole.len() {
            assert_eq!(verify(&whole[..end], b"parameters", known), SignatureVerdict::Absent, "{end}");
        }
        let mut short = Vec::new();
        option::put(SIMPLE_PASSWORD, &[0; 31], &mut short);
        option::put(0x55, b"unknown", &mut short);
        assert_eq!(verify(&short, b"parameters", known), SignatureVerdict::Absent);
    }

    #[test]
    fn a_password_too_short_for_its_hmac_spoils_a_valid_proof_beside_it() {
        let valid = signature(&[("old", "one")]);
        for length in [0, 1, 31] {
            let mut short = Vec::new();
            option::put(SIMPLE_PASSWORD, &vec![7; length], &mut short);
            for spoilt in [[&valid[..], &short].concat(), [&short[..], &valid].concat()] {
                assert_eq!(verify(&spoilt, b"parameters", known), SignatureVerdict::Absent, "{length}");
            }
        }
        let mut nameless = Vec::new();
        option::put(SIMPLE_PASSWORD, &[7; 32], &mut nameless);
        assert_eq!(verify(&[valid, nameless].concat(), b"parameters", known), SignatureVerdict::Valid);
    }

    /// §4.3.5.1: also beside a proof, before and after it.
    #[test]
    fn unknown_options_are_ignored() {
        let mut unknown = Vec::new();
        option::put(0x55, b"unknown", &mut unknown);
        for (pairs, expected) in
            [(("old", "one"), SignatureVerdict::Valid), (("old", "two"), SignatureVerdict::Invalid)]
        {
            let proof = signature(&[pairs]);
            for beside in [[&proof[..], &unknown].concat(), [&unknown[..], &proof].concat()] {
                assert_eq!(verify(&beside, b"parameters", known), expected);
            }
        }
        assert_eq!(verify(&unknown, b"parameters", known), SignatureVerdict::Absent);
    }
}
