//! Certificates (RFC 7425 §4.3).

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::dh::Group;
use super::peer_id::PeerId;
use crate::wire::option::Element;
use crate::wire::{Malformed, option, vlu};

/// The longest certificate that is accepted, in bytes. One with static keys in four groups takes about 1100.
pub const MAX_LEN: usize = 8 * 1024;

/// Hostname (§4.3.3.1).
pub(super) const HOSTNAME: u64 = 0x00;
/// Accepts Ancillary Data (§4.3.3.2).
pub(super) const ACCEPTS_ANCILLARY_DATA: u64 = 0x0a;
/// Extra Randomness (§4.3.3.3).
pub(super) const EXTRA_RANDOMNESS: u64 = 0x0e;
/// Supported Ephemeral Diffie-Hellman Group (§4.3.3.4).
pub(super) const EPHEMERAL_GROUP: u64 = 0x15;
/// Static Diffie-Hellman Public Key (§4.3.3.5).
pub(super) const STATIC_KEY: u64 = 0x1d;

/// The identity that an endpoint shows. Clones share the bytes.
#[derive(Clone)]
pub struct Certificate {
    bytes: Arc<[u8]>,
    canonical_len: usize,
    fingerprint: PeerId,
}

impl Certificate {
    /// Checks a certificate and copies it. Refused are: malformed options, more than one hostname, static and ephemeral
    /// keys in one certificate, and more than [`MAX_LEN`] bytes. Every other certificate is authentic (§4.3.4).
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_LEN {
            return Err(Malformed("certificate: too long"));
        }
        let canonical_len = canonical_len(bytes)?;
        let canonical = bytes.get(..canonical_len).unwrap_or_default();
        let (mut hostnames, mut ephemeral, mut fixed) = (0, false, false);
        // Options after the first marker count for nothing here (§4.3.3.1, .2, .4, .5).
        for (kind, value) in options(canonical) {
            match kind {
                HOSTNAME => hostnames += 1,
                EPHEMERAL_GROUP => {
                    let rest = group_id(value).ok_or(Malformed("certificate: group id"))?.1;
                    if !rest.is_empty() {
                        return Err(Malformed("certificate: bytes after a group id"));
                    }
                    ephemeral = true;
                }
                STATIC_KEY => {
                    group_id(value).ok_or(Malformed("certificate: group id of a static key"))?;
                    fixed = true;
                }
                _ => {}
            }
        }
        if hostnames > 1 {
            return Err(Malformed("certificate: more than one hostname"));
        }
        if ephemeral && fixed {
            return Err(Malformed("certificate: both static and ephemeral keys"));
        }
        let fingerprint = PeerId(Sha256::digest(canonical).into());
        Ok(Self { bytes: bytes.into(), canonical_len, fingerprint })
    }

    /// A certificate that this crate composed, all of it canonical.
    pub(super) fn own(bytes: Vec<u8>) -> Self {
        let fingerprint = PeerId(Sha256::digest(&bytes).into());
        Self { canonical_len: bytes.len(), bytes: bytes.into(), fingerprint }
    }

    /// The certificate as it is sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The part up to the first marker, from which the fingerprint is made (§4.3.1).
    pub fn canonical(&self) -> &[u8] {
        self.bytes.get(..self.canonical_len).unwrap_or_default()
    }

    /// The peer id (§4.3.2).
    pub fn fingerprint(&self) -> PeerId {
        self.fingerprint
    }

    /// SHA-256 of all its bytes: the fingerprint, unless something follows the canonical section.
    pub(crate) fn hash(&self) -> [u8; 32] {
        if self.canonical_len == self.bytes.len() { self.fingerprint.0 } else { Sha256::digest(&self.bytes).into() }
    }

    /// The hostname, if there is one (§4.3.3.1).
    pub fn hostname(&self) -> Option<&[u8]> {
        options(self.canonical()).find_map(|(kind, value)| (kind == HOSTNAME).then_some(value))
    }

    /// Whether ancillary data in an endpoint discriminator can select this certificate (§4.3.3.2).
    pub fn accepts_ancillary_data(&self) -> bool {
        options(self.canonical()).any(|(kind, _)| kind == ACCEPTS_ANCILLARY_DATA)
    }

    /// The groups for which ephemeral keys are accepted, as numbered on the wire (§4.3.3.4).
    pub fn ephemeral_groups(&self) -> impl Iterator<Item = u64> + '_ {
        options(self.canonical())
            .filter(|(kind, _)| *kind == EPHEMERAL_GROUP)
            .filter_map(|(_, value)| Some(group_id(value)?.0))
    }

    /// Whether the certificate names `group` for ephemeral keys.
    pub fn has_ephemeral_group(&self, group: Group) -> bool {
        self.ephemeral_groups().any(|id| id == group.id())
    }

    /// The static public key in `group`, if there is one (§4.3.3.5). If there are several, the first.
    pub fn static_key(&self, group: Group) -> Option<&[u8]> {
        self.static_keys().find_map(|(id, key)| (id == group.id()).then_some(key))
    }

    /// Whether the certificate has a static public key, even if its group is not known here.
    pub fn has_static_keys(&self) -> bool {
        self.static_keys().next().is_some()
    }

    /// Whether `self`, the near end's certificate, makes the near end prevail as the initiator when both ends opened a
    /// session at once (§4.3.6).
    pub fn prevails_in_glare(&self, far: &Certificate) -> bool {
        self.as_bytes() <= far.as_bytes()
    }

    fn static_keys(&self) -> impl Iterator<Item = (u64, &[u8])> {
        options(self.canonical()).filter(|(kind, _)| *kind == STATIC_KEY).filter_map(|(_, value)| group_id(value))
    }
}

/// Identical certificates are identical byte by byte: what session override asks for (§4.3.7).
impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, {} bytes)", self.fingerprint, self.bytes.len())
    }
}

/// The length of the canonical section (§4.3.1); an error if anything in the certificate is malformed.
fn canonical_len(bytes: &[u8]) -> Result<usize, Malformed> {
    let mut input = bytes;
    let mut canonical = None;
    while !input.is_empty() {
        let before = bytes.len() - input.len();
        if option::take(&mut input)? == Element::Marker && canonical.is_none() {
            canonical = Some(before);
        }
    }
    Ok(canonical.unwrap_or(bytes.len()))
}

/// The options in bytes already found to be well formed.
fn options(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    option::elements(bytes).filter_map(|element| match element {
        Ok(Element::Option { kind, value }) => Some((kind, value)),
        _ => None,
    })
}

/// A group's number and what follows it.
fn group_id(mut value: &[u8]) -> Option<(u64, &[u8])> {
    let id = vlu::take(&mut value).ok()?;
    Some((id, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn build(parts: &[Option<(u64, &[u8])>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in parts {
            match part {
                Some((kind, value)) => option::put(*kind, value, &mut bytes),
                None => option::put_marker(&mut bytes),
            }
        }
        bytes
    }

    #[test]
    fn recorded_server_certificate() {
        // rtmfp-cpp-connect-sseq.json, session 0.
        let bytes = hex::decode(concat!(
            "010a02150e021502410e8cb69ccaeffccbb051a8fb1dd618f6112aba2eb8085a80e21f380d937fa86659e88d58ae4d0f86da",
            "3d8580ac6a28edc9471a8fc4678d5b218242a3b0c1f98084"
        ))
        .unwrap();
        let certificate = Certificate::parse(&bytes).unwrap();
        let peer = "bc6e6010b3b1b4dc5bee0d8cde1bcb097573260040cfb3c10fed1824eb6c4a0c".parse().unwrap();
        assert_eq!(certificate.fingerprint(), peer);
        assert!(certificate.accepts_ancillary_data());
        assert_eq!(certificate.hostname(), None);
        assert_eq!(certificate.ephemeral_groups().collect::<Vec<_>>(), [14, 2]);
        assert!(!certificate.has_static_keys());
        for end in 1..bytes.len() {
            // A cut between two options leaves a certificate; no other cut does.
            assert_eq!(Certificate::parse(&bytes[..end]).is_ok(), [2, 5, 8].contains(&end), "{end}");
        }
    }

    #[test]
    fn options_after_the_first_marker_are_ignored() {
        let canonical = [Some((HOSTNAME, &b"a.example"[..])), Some((EPHEMERAL_GROUP, &[2]))];
        let plain = build(&canonical);
        let rest = build(&[
            None,
            Some((HOSTNAME, b"b.example")),
            Some((ACCEPTS_ANCILLARY_DATA, b"")),
            Some((EPHEMERAL_GROUP, &[14])),
            Some((STATIC_KEY, &[2, 1, 2, 3])),
            None,
        ]);
        let certificate = Certificate::parse(&[plain.clone(), rest].concat()).unwrap();
        assert_eq!(certificate.canonical(), plain);
        assert_eq!(certificate.fingerprint(), Certificate::parse(&plain).unwrap().fingerprint());
        assert_eq!(certificate.hostname(), Some(&b"a.example"[..]));
        assert!(!certificate.accepts_ancillary_data());
        assert!(!certificate.has_static_keys());
        assert!(certificate.has_ephemeral_group(Group::Modp2) && !certificate.has_ephemeral_group(Group::Modp14));
    }

    #[test]
    fn what_is_refused() {
        for parts in [
            &[Some((HOSTNAME, &b"a"[..])), Some((HOSTNAME, b"a"))][..],
            &[Some((EPHEMERAL_GROUP, &[2])), Some((STATIC_KEY, &[5, 1]))],
            &[Some((EPHEMERAL_GROUP, &[]))],
            &[Some((EPHEMERAL_GROUP, &[0x82]))],
            &[Some((EPHEMERAL_GROUP, &[2, 2]))],
            &[Some((STATIC_KEY, &[]))],
            &[Some((0x99, &vec![0; MAX_LEN]))],
        ] {
            assert!(Certificate::parse(&build(parts)).is_err(), "{parts:?}");
        }
    }

    /// RFC 7425 §4.3.3.
    #[test]
    fn unknown_options_are_ignored() {
        let known = [Some((HOSTNAME, &b"a.example"[..])), Some((EPHEMERAL_GROUP, &[2])), Some((0x99, b"?"))];
        for unknown in [(0x01, &b""[..]), (0x99, b"?"), (0x2000, &[0xff; 9]), (u64::MAX, &[2])] {
            let bytes = build(&[&[Some(unknown)][..], &known, &[Some(unknown), None, Some(unknown)]].concat());
            let certificate = Certificate::parse(&bytes).unwrap();
            assert_eq!(certificate.hostname(), Some(&b"a.example"[..]));
            assert_eq!(certificate.ephemeral_groups().collect::<Vec<_>>(), [2]);
            assert!(!certificate.accepts_ancillary_data() && !certificate.has_static_keys());
        }
    }

    /// RFC 7425 §4.3.1, §4.3.7: what follows the canonical section is no part of the peer id, and yet of the certificate.
    #[test]
    fn certificates_of_one_peer_id_may_differ() {
        let canonical = build(&[Some((EXTRA_RANDOMNESS, &[1; 64]))]);
        let plain = Certificate::parse(&canonical).unwrap();
        let longer = Certificate::parse(&[&canonical[..], &build(&[None, Some((0x99, b"?"))])].concat()).unwrap();
        assert_eq!(plain.fingerprint(), longer.fingerprint());
        assert!(plain != longer && plain == plain.clone());
        assert_eq!(plain.hash(), plain.fingerprint().0);
        assert_eq!(longer.hash(), <[u8; 32]>::from(Sha256::digest(longer.as_bytes())));
        assert_ne!(plain.hash(), longer.hash());
    }

    #[test]
    fn the_longest_certificate_is_read_and_a_longer_one_is_not() {
        let of = |length: usize| {
            Certificate::parse(&build(&[Some((0x99, &vec![0; length - 4][..]))])).map(|read| read.as_bytes().len())
        };
        assert_eq!(of(MAX_LEN), Ok(MAX_LEN));
        assert!(of(MAX_LEN + 1).is_err());
    }

    #[test]
    fn an_empty_certificate_has_the_fingerprint_of_nothing() {
        let empty = Certificate::parse(&[]).unwrap();
        assert!(empty.fingerprint().to_string().starts_with("e3b0c44298fc1c14"));
        assert_eq!(Certificate::parse(&[0]).unwrap().fingerprint(), empty.fingerprint());
    }

    #[test]
    fn static_keys_are_found_by_group() {
        let bytes =
            build(&[Some((STATIC_KEY, &[2, 0xaa, 0xbb])), Some((STATIC_KEY, &[99, 1])), Some((STATIC_KEY, &[14]))]);
        let certificate = Certificate::parse(&bytes).unwrap();
        assert_eq!(certificate.static_key(Group::Modp2), Some(&[0xaa, 0xbb][..]));
        assert_eq!(certificate.static_key(Group::Modp14), Some(&[][..]));
        assert_eq!(certificate.static_key(Group::Modp5), None);
    }

    #[test]
    fn glare_is_won_by_the_lower_certificate() {
        let of = |value: &[u8]| Certificate::parse(&build(&[Some((EXTRA_RANDOMNESS, value))])).unwrap();
        let (low, high) = (of(&[1, 0xff]), of(&[0x80, 0]));
        assert!(low.prevails_in_glare(&high) && !high.prevails_in_glare(&low));
        assert!(low.prevails_in_glare(&low));
        let short = Certificate::parse(&[1, 9]).unwrap();
        let long = Certificate::parse(&[1, 9, 0]).unwrap();
        assert!(short.prevails_in_glare(&long) && !long.prevails_in_glare(&short));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(certificate) = Certificate::parse(&bytes) {
                prop_assert_eq!(certificate.as_bytes(), &bytes[..]);
                prop_assert!(bytes.starts_with(certificate.canonical()));
            }
        }
    }
}
