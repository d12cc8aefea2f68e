//! The identity of an endpoint: a certificate, and the private keys that belong to it, if it has any.

use std::fmt;

use rand_core::CryptoRng;

use super::certificate::{
    ACCEPTS_ANCILLARY_DATA, Certificate, EPHEMERAL_GROUP, EXTRA_RANDOMNESS, HOSTNAME, STATIC_KEY,
};
use super::dh::{Group, KeyPair};
use super::peer_id::PeerId;
use crate::wire::{Malformed, option, vlu};

/// What an endpoint opens and answers sessions with.
pub struct Identity {
    certificate: Certificate,
    groups: Vec<Group>,
    static_keys: Vec<KeyPair>,
}

impl Identity {
    /// A new identity that makes a fresh key for every session, in one of `groups`, most wanted first.
    ///
    /// With groups 2, 5 and 14, ancillary data and no hostname the certificate takes 77 bytes, which is what librtmfp reads
    /// from an RHello.
    pub fn ephemeral(
        groups: &[Group],
        hostname: Option<&str>,
        accepts_ancillary_data: bool,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let mut bytes = Vec::new();
        if accepts_ancillary_data {
            option::put(ACCEPTS_ANCILLARY_DATA, &[], &mut bytes);
        }
        let mut randomness = [0; 64];
        rng.fill_bytes(&mut randomness);
        option::put(EXTRA_RANDOMNESS, &randomness, &mut bytes);
        for group in groups {
            option::put(EPHEMERAL_GROUP, &group_value(*group, &[]), &mut bytes);
        }
        put_hostname(hostname, &mut bytes);
        Self { certificate: Certificate::own(bytes), groups: groups.to_vec(), static_keys: Vec::new() }
    }

    /// A new identity with a static key in each of `groups`, most wanted first.
    pub fn fixed(groups: &[Group], rng: &mut impl CryptoRng) -> Self {
        Self::from_static_keys(groups.iter().map(|group| KeyPair::generate(*group, rng)).collect())
    }

    /// The identity that consists of these static keys, most wanted first: the same keys in the same order are the same
    /// peer id. Of several keys in one group the first is used.
    pub fn from_static_keys(static_keys: Vec<KeyPair>) -> Self {
        Self::from_server_keys(static_keys, None, false)
    }

    /// As [`Self::from_static_keys`], for a server that clients find by its hostname, or by the URI that they connect to
    /// (§4.3.3.2). Both are part of what the peer id is made of.
    pub fn from_server_keys(static_keys: Vec<KeyPair>, hostname: Option<&str>, accepts_ancillary_data: bool) -> Self {
        let mut bytes = Vec::new();
        if accepts_ancillary_data {
            option::put(ACCEPTS_ANCILLARY_DATA, &[], &mut bytes);
        }
        let mut groups = Vec::new();
        for keys in &static_keys {
            if !groups.contains(&keys.group()) {
                groups.push(keys.group());
                option::put(STATIC_KEY, &group_value(keys.group(), keys.public()), &mut bytes);
            }
        }
        put_hostname(hostname, &mut bytes);
        Self { certificate: Certificate::own(bytes), groups, static_keys }
    }

    /// The identity of a stored certificate without static keys: its bytes are all that it takes. A certificate with static keys, or
    /// without any group known here, is rejected.
    pub fn from_certificate(certificate: Certificate) -> Result<Self, Malformed> {
        let groups: Vec<Group> = certificate.ephemeral_groups().filter_map(Group::from_id).collect();
        if groups.is_empty() {
            return Err(Malformed("own certificate: no group for ephemeral keys"));
        }
        Ok(Self { certificate, groups, static_keys: Vec::new() })
    }

    /// The certificate that others see.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The peer id.
    pub fn peer_id(&self) -> PeerId {
        self.certificate.fingerprint()
    }

    /// The groups that can be used, most wanted first.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Whether the keys are static ones.
    pub fn is_static(&self) -> bool {
        !self.static_keys.is_empty()
    }

    /// The static keys in `group`, if there are any.
    pub fn static_key(&self, group: Group) -> Option<&KeyPair> {
        self.static_keys.iter().find(|keys| keys.group() == group)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificate", &self.certificate).field("groups", &self.groups).finish()
    }
}

fn put_hostname(hostname: Option<&str>, certificate: &mut Vec<u8>) {
    if let Some(hostname) = hostname {
        // A hostname takes 253 bytes at most (RFC 1035 §2.3.4); the bound keeps the certificate acceptable to others.
        let name = hostname.as_bytes();
        option::put(HOSTNAME, name.get(..253).unwrap_or(name), certificate);
    }
}

/// A group's number, then `rest`.
pub(super) fn group_value(group: Group, rest: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 + rest.len());
    vlu::put(group.id(), &mut value);
    value.extend_from_slice(rest);
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn the_certificate_that_librtmfp_reads() {
        let groups = [Group::Modp2, Group::Modp5, Group::Modp14];
        let identity = Identity::ephemeral(&groups, None, true, &mut ChaCha20Rng::seed_from_u64(1));
        let bytes = identity.certificate().as_bytes();
        assert_eq!(bytes.len(), 77);
        assert_eq!(bytes[..4], [0x01, 0x0a, 0x41, 0x0e]);
        assert_eq!(bytes[68..], [0x02, 0x15, 0x02, 0x02, 0x15, 0x05, 0x02, 0x15, 0x0e]);
        assert!(identity.certificate().accepts_ancillary_data());
        assert_eq!(Certificate::parse(bytes).unwrap().fingerprint(), identity.peer_id());
        assert!(!identity.is_static());
        let again = Identity::from_certificate(identity.certificate().clone()).unwrap();
        assert_eq!(again.groups(), groups);
        assert_eq!(again.peer_id(), identity.peer_id());
    }

    #[test]
    fn hostname_and_no_ancillary_data() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let identity = Identity::ephemeral(&[Group::Modp2], Some("a.example"), false, &mut rng);
        assert_eq!(identity.certificate().hostname(), Some(&b"a.example"[..]));
        assert!(!identity.certificate().accepts_ancillary_data());
        let other = Identity::ephemeral(&[Group::Modp2], Some("a.example"), false, &mut rng);
        assert_ne!(identity.peer_id(), other.peer_id());
        let long = Identity::ephemeral(&[Group::Modp2], Some(&"x".repeat(100_000)), false, &mut rng);
        assert!(Certificate::parse(long.certificate().as_bytes()).is_ok());
    }

    #[test]
    fn static_identities_come_back_from_their_private_keys() {
        let identity = Identity::fixed(&[Group::Modp14, Group::Modp2], &mut ChaCha20Rng::seed_from_u64(3));
        assert_eq!(identity.groups(), [Group::Modp14, Group::Modp2]);
        let certificate = Certificate::parse(identity.certificate().as_bytes()).unwrap();
        let keys: Vec<_> = identity
            .groups()
            .iter()
            .map(|group| {
                let keys = identity.static_key(*group).unwrap();
                assert_eq!(certificate.static_key(*group), Some(keys.public()));
                KeyPair::from_private(*group, keys.expose_private()).unwrap()
            })
            .collect();
        let server = Identity::from_server_keys(keys.clone(), Some("a.example"), true);
        let shown = Certificate::parse(server.certificate().as_bytes()).unwrap();
        assert!(shown.accepts_ancillary_data() && shown.has_static_keys());
        assert_eq!(shown.hostname(), Some(&b"a.example"[..]));
        assert_eq!(Identity::from_static_keys(keys).peer_id(), identity.peer_id());
        assert!(identity.is_static() && identity.static_key(Group::Modp5).is_none());
        assert!(Identity::from_certificate(certificate).is_err());
    }

    #[test]
    fn of_several_keys_in_one_group_the_first_is_shown_and_used() {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let [first, second] = [0, 1].map(|_| KeyPair::generate(Group::Modp2, &mut rng));
        let identity = Identity::from_static_keys(vec![first.clone(), second]);
        assert_eq!(identity.groups(), [Group::Modp2]);
        assert_eq!(identity.static_key(Group::Modp2).map(KeyPair::public), Some(first.public()));
        assert_eq!(identity.peer_id(), Identity::from_static_keys(vec![first]).peer_id(), "RFC 7425 §4.3.3.5");
    }

    /// RFC 7016 §3.2.
    #[test]
    fn no_two_identities_are_alike() {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..3 {
            let ephemeral = Identity::ephemeral(&[Group::Modp2], Some("a.example"), true, &mut rng);
            assert!(
                seen.insert(ephemeral.peer_id()) && seen.insert(Identity::fixed(&[Group::Modp2], &mut rng).peer_id())
            );
        }
    }
}
